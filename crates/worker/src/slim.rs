//! `worker slim`: a recipe's cuts, written as a model of their own.

use std::{io::Write as _, path::Path, time::Instant};

use anyhow::Context as _;
use cuts::Slim;
use export::{Ahead, Card, Settings, StepWords, Subject, Watch, Written, export};
use models::{Model, ModelFacts};
use plan::{OrderedCell, Recipe, SlimAnswer, SlimEvent, SlimRequest};
use serde_json::json;
use sparse::kept_count;
use tables::Store;

use crate::{
    Outcome, fail::Fail, run::Inputs, runner::Runner, scores::Scores, slim_files::beside,
    stop::Stop, subject,
};

/// Carries out a request; events go to standard output.
pub(crate) fn slim(request: &Path) -> Outcome {
    let text = std::fs::read_to_string(request)
        .with_context(|| format!("cannot read the request {}", request.display()))
        .map_err(Fail::Usage)?;
    let request: SlimRequest =
        serde_json::from_str(&text).context("not a request").map_err(Fail::Usage)?;
    SlimRequest::check(&request.recipe).map_err(|why| Fail::Usage(anyhow::anyhow!(why)))?;
    let stop = Stop::listen(true).map_err(Fail::Usage)?;
    let answer = run(&request, &stop)?;
    say(&SlimEvent::Written(answer));
    Ok(plan::exit::DONE)
}

/// Tells the process that started us; if it is gone there is nobody to tell.
fn say(event: &SlimEvent) {
    match serde_json::to_string(event) {
        Ok(line) => {
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
        Err(error) => tracing::error!("event cannot be written: {error}"),
    }
}

fn phase(message: String) {
    say(&SlimEvent::Phase { message });
}

fn run(request: &SlimRequest, stop: &Stop) -> Result<SlimAnswer, Fail> {
    let form = export::Form::named(request.format.as_str())
        .with_context(|| format!("the form `{}` is not written here", request.format))
        .map_err(Fail::Usage)?;
    let settings = Settings {
        uniform: request.uniform,
        shard_bytes: request.shard_bytes.unwrap_or(Settings::SHARD_BYTES),
        ..Settings::new(&request.out, form)
    };
    phase(format!("loading {}", request.model.name));
    let device = subject::device(request.device).map_err(Fail::Usage)?;
    let loaded = subject::model(&request.model.path, &device, request.model.time_steps);
    let loaded = loaded.map_err(Fail::input)?;
    let whole = loaded.facts;
    let ahead = ahead(&request.recipe, whole.neurons);
    export::check(&*loaded.model, &request.model.path, &settings, &ahead).map_err(refused)?;
    if request.dry_run {
        return Ok(would(request, &whole, &*loaded.model));
    }
    let started = Instant::now();
    let slim = cut(request, loaded.model, &whole, stop)?;
    let cut_seconds = started.elapsed().as_secs_f64();
    let (started, stored) = (Instant::now(), &slim.storage);
    let card = card(request, stored.parameters(), stored.bytes());
    let beside = beside(&request.model.path, form).map_err(Fail::input)?;
    let watch = Watch {
        progress: &|bytes_done, bytes| say(&SlimEvent::Writing { bytes_done, bytes }),
        stop: &|| stop.asked(),
    };
    let subject = Subject { slim: &slim, source: &request.model.path, whole: &whole };
    let settings = Settings { card: Some(&card), ..settings };
    let written = export(&subject, &settings, &beside, &watch).map_err(fail)?;
    let seconds = [cut_seconds, started.elapsed().as_secs_f64()];
    Ok(answer(request, &whole, stored.bytes(), written, seconds))
}

/// What the cuts are known to leave before they are made.
fn ahead(recipe: &Recipe, neurons: usize) -> Ahead {
    let of = |name: &'static str| recipe.cuts().filter(move |step| step.kind().name == name);
    let left = of("ffn").fold(neurons, |left, step| {
        kept_count(left, step.share("sparsity").unwrap_or_default().get())
    });
    let rounding = recipe.cuts().filter(|step| step.count("bits").is_some()).last();
    let group = rounding.and_then(|step| step.count("group"));
    Ahead {
        group: group.and_then(|group| usize::try_from(group).ok()),
        neurons: (left != neurons).then_some(left),
        other_widths: ["heads", "state", "low-rank"].iter().any(|name| of(name).next().is_some()),
    }
}

/// What is refused before anything is cut.
fn refused(error: export::ExportError) -> Fail {
    match error {
        export::ExportError::Write { .. } => Fail::Results(error.into()),
        other => Fail::Usage(other.into()),
    }
}

fn fail(error: export::ExportError) -> Fail {
    match error {
        export::ExportError::Stopped => Fail::Stopped,
        export::ExportError::Write { .. } => Fail::Results(error.into()),
        other => Fail::Cell(other.into()),
    }
}

/// The way of a grid: a work order of one cell, its scores in a folder that is gone afterwards.
fn cut(
    request: &SlimRequest,
    model: Box<dyn Model>,
    whole: &ModelFacts,
    stop: &Stop,
) -> Result<Slim, Fail> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder");
    let folder = folder.map_err(Fail::Results)?;
    let order = request.order(folder.path().to_owned(), whole.max_positions);
    let ordered: &OrderedCell = &order.cells[0];
    let inputs = Inputs::read(&order, &[ordered])?;
    let store = Store::open(&order.results).map_err(|e| Fail::Results(e.into()))?;
    let device = subject::device(order.device).map_err(Fail::Usage)?;
    let mut runner = Runner {
        order: &order,
        inputs: &inputs,
        store: &store,
        turns: None,
        stop,
        input: &order.models[0],
        device: &device,
        model: Some(model),
        has_one_cell: true,
        decodes: false,
        tells: true,
    };
    let prepared = runner.prepared(&ordered.cell, &mut Scores::default()).map_err(Fail::Cell)?;
    Ok(prepared.ok_or(Fail::Stopped)?.slim)
}

fn card(request: &SlimRequest, parameters: u64, bytes: u64) -> Card {
    let steps = request.recipe.cuts();
    let words = |step: &plan::Step| StepWords { text: step.to_string(), phrase: step.phrase() };
    let calibration = request.calibration.as_ref().map(|own| {
        let windows =
            own.limit.map_or("all windows".to_owned(), |n| format!("the first {n} windows"));
        let length = own.window_tokens.map(|n| format!(" of {n} ids")).unwrap_or_default();
        format!("{windows}{length} of {}", own.text.name)
    });
    let mut hashes = vec![
        ("weights that were cut".to_owned(), request.model.sha256.clone()),
        ("their tokenizer".to_owned(), request.model.tokenizer_sha256.clone()),
    ];
    hashes.extend(
        request
            .calibration
            .as_ref()
            .map(|own| ("calibration text".to_owned(), own.text.sha256.clone())),
    );
    let provenance = &request.provenance;
    Card {
        source: request.model.name.clone(),
        license: crate::slim_files::license(&request.model.path),
        command: provenance.command.clone(),
        code: [provenance.revision.clone(), provenance.code_version.clone()],
        steps: steps.map(words).collect(),
        recipe: serde_json::from_str(&request.recipe.json()).unwrap_or(json!(null)),
        seed: request.recipe.seed(),
        calibration,
        hashes,
        stored: [parameters, bytes],
        measured: request.measured.clone(),
    }
}

fn answer(
    request: &SlimRequest,
    whole: &ModelFacts,
    stored_bytes: u64,
    written: Written,
    [cut_seconds, write_seconds]: [f64; 2],
) -> SlimAnswer {
    SlimAnswer {
        folder: written.folder,
        format: request.format,
        dry_run: false,
        parameters_before: whole.parameters as u64,
        parameters: written.parameters,
        bytes: written.files.iter().map(|file| file.bytes).sum(),
        stored_bytes,
        fields: written.fields,
        files: written.files.into_iter().map(|file| file.name).collect(),
        notes: written.notes,
        cut_seconds,
        write_seconds,
    }
}

/// What is known before anything is cut: the model as it is, which no cut makes larger.
fn would(request: &SlimRequest, whole: &ModelFacts, model: &dyn Model) -> SlimAnswer {
    SlimAnswer {
        folder: request.out.clone(),
        format: request.format,
        dry_run: true,
        parameters_before: whole.parameters as u64,
        parameters: whole.parameters as u64,
        bytes: 0,
        stored_bytes: cuts::Storage::of(model).bytes(),
        fields: serde_json::Map::new(),
        files: Vec::new(),
        notes: Vec::new(),
        cut_seconds: 0.0,
        write_seconds: 0.0,
    }
}
