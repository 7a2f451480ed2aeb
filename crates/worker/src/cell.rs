//! `worker cell`: one cell by hand, without a pipeline or a results folder.

use std::{io::Write as _, path::Path};

use anyhow::Context as _;
use corpora::{shared_document, windows};
use importance::Calibration;
use models::{Device, Model};
use plan::{CellRequest, Needs, Part, Policy, Protocol, Recalibration, Score, Treatment};
use pruning::{Selection, StateSelection, cut, cut_states};
use serde::Serialize;

use crate::{
    Outcome,
    evaluate::{Evaluated, Rows, evaluate},
    fail::Fail,
    material::Material,
    observe,
    scores::{calibrate, gradients},
    stop::Stop,
    subject, system, text,
    treatment::{self, Chosen, Grounds},
};

/// What is printed with `--json`.
#[derive(Debug, Default, Serialize)]
struct Answer {
    model: String,
    dataset: String,
    protocol: String,
    treatment: Option<plan::Treatment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    perplexity: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nll_nats: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n_windows: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n_targets: Option<u64>,
    /// Ids of the whole text, of which the windows are the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    n_ids: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n_correct: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n_items: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    word_perplexity: Option<f64>,
    reached_sparsity: f64,
    /// Not known of weights that were cut: what was dropped is not computed.
    natural_sparsity: Option<f64>,
    kept_energy: Option<f64>,
    tokens: u64,
    seconds: f64,
    tokens_per_second: f64,
    peak_rss_bytes: u64,
}

/// Runs the cell of a request file and prints what came out.
pub(crate) fn cell(request: &Path) -> Outcome {
    let text = std::fs::read_to_string(request)
        .with_context(|| format!("cannot read the request {}", request.display()))
        .map_err(Fail::Usage)?;
    let request: CellRequest =
        serde_json::from_str(&text).context("not a request").map_err(Fail::Usage)?;
    if request.cut && request.treatment.policy != Policy::Static {
        return Err(Fail::Usage(anyhow::anyhow!("only a static cell has weights to cut")));
    }
    if request.treatment.policy == Policy::Observe {
        let message = "what is observed is a table: order it with a pipeline";
        return Err(Fail::Usage(anyhow::anyhow!(message)));
    }
    let stop = Stop::listen(false).map_err(Fail::Usage)?;
    let answer = run(&request, &stop)?;
    print(&request, &answer).map_err(Fail::Usage)?;
    Ok(plan::exit::DONE)
}

fn run(request: &CellRequest, stop: &Stop) -> Result<Answer, Fail> {
    let device = subject::device(request.device).map_err(Fail::Usage)?;
    let mut errors = Vec::new();
    let mut keep = |error: anyhow::Error| errors.push(error);
    let subject = subject::facts_and_tokenizer(&request.model, None, request.time_steps)
        .map_err(&mut keep)
        .ok();
    let read = |path: &Path, reading| text::read(path, reading).map_err(anyhow::Error::from);
    let text = read(&request.dataset, request.reading).map_err(&mut keep).ok();
    let calibration = match &request.calibration {
        Some(text) => read(&text.path, text.reading).map_err(&mut keep).ok(),
        None => None,
    };
    if let (Some(calibration), Some(text)) = (&calibration, &text) {
        let _ = shared_document(calibration, text).map_err(|error| keep(error.into()));
    }
    let (Some((facts, tokenizer)), Some(text), []) = (subject, text, errors.as_slice()) else {
        return Err(Fail::Inputs(errors));
    };
    let material =
        Material::of(request.protocol, &text, &tokenizer, facts.max_positions, request.limit)
            .map_err(Fail::input)?;
    let model = subject::model(&request.model, &device, request.time_steps);
    let model = model.map_err(Fail::input)?.model;
    if request.treatment.policy != Policy::Dense {
        observe::check(model.as_ref(), request.treatment.part).map_err(Fail::Cell)?;
    }
    let windows = match calibration {
        Some(text) => {
            let limit = request.calibration.as_ref().and_then(|c| c.limit);
            let window_tokens = match request.protocol {
                Protocol::Perplexity { window_tokens } => window_tokens,
                _ => plan::DEFAULT_CALIBRATION_WINDOW_TOKENS,
            };
            let (windows, _) =
                windows(&text, &tokenizer, window_tokens, limit).map_err(Fail::input)?;
            Some(windows)
        }
        None => None,
    };
    let treatment = &request.treatment;
    let measured = match &windows {
        Some(windows) => {
            let measured = measured(request, model.as_ref(), &device, windows, stop);
            measured.map_err(Fail::Cell)?.ok_or(Fail::Stopped)?
        }
        None => Measured::Nothing,
    };
    let grounds = match &measured {
        Measured::Nothing => Grounds::Nothing,
        Measured::Scores(scores) => Grounds::Scores(scores),
        Measured::Sets(sets) => Grounds::Sets(sets),
    };
    let (model, chosen, cut_to) = match request.cut {
        true => cut_model(treatment, model.as_ref(), grounds).map_err(Fail::Cell)?,
        false => {
            let chosen = treatment::chosen(treatment, model.as_ref(), grounds);
            (model, chosen.map_err(Fail::Cell)?, None)
        }
    };
    let evaluated = evaluate(model.as_ref(), chosen, &material, stop, |_, _| {});
    let evaluated = evaluated.map_err(|e| Fail::Cell(e.into()))?.ok_or(Fail::Stopped)?;
    let mut answer = answer(request, &evaluated, cut_to);
    if let Material::Windows { n_ids, .. } = material {
        answer.n_ids = Some(n_ids);
    }
    Ok(answer)
}

/// What a calibration text gives.
enum Measured {
    Nothing,
    Scores(Calibration),
    Sets(Vec<Vec<u32>>),
}

/// What the treatment needs of a calibration text; `None` if asked to stop on the way.
fn measured(
    request: &CellRequest,
    model: &dyn Model,
    device: &Device,
    windows: &[Vec<u32>],
    stop: &Stop,
) -> anyhow::Result<Option<Measured>> {
    let treatment = &request.treatment;
    if treatment.recalibration == Some(Recalibration::Sequential) {
        let sets = treatment::recalibrated(treatment, model, windows, stop)?;
        return Ok(sets.map(Measured::Sets));
    }
    let scores = match treatment.score.map(Score::needs) {
        Some(Needs::Gradient) => {
            gradients(&request.model, device, request.time_steps, windows, stop)?
        }
        _ => calibrate(model, windows, stop)?,
    };
    Ok(scores.map(Measured::Scores))
}

/// A model that is really smaller, and the share that was cut.
fn cut_model(
    treatment: &Treatment,
    model: &dyn Model,
    grounds: Grounds<'_>,
) -> anyhow::Result<(Box<dyn Model>, Chosen, Option<f64>)> {
    let kept = treatment::sets(treatment, model, grounds)?;
    let left: usize = kept.iter().map(Vec::len).sum();
    let of = |all: usize| Some(1.0 - left as f64 / all as f64);
    Ok(match treatment.part {
        Part::Ffn => {
            let all = model.ffns().iter().map(|ffn| ffn.neurons()).sum();
            (cut(model, &kept), Chosen::Neurons(Selection::All), of(all))
        }
        Part::State => {
            let all = model.mixers().iter().map(|mixer| mixer.shape().mixed()).sum();
            (cut_states(model, &kept), Chosen::Channels(StateSelection::All), of(all))
        }
    })
}

fn answer(request: &CellRequest, evaluated: &Evaluated, cut_to: Option<f64>) -> Answer {
    let shares = &evaluated.total;
    let mut answer = Answer {
        model: request.model.display().to_string(),
        dataset: request.dataset.display().to_string(),
        protocol: request.protocol.to_string(),
        treatment: Some(request.treatment.clone()),
        reached_sparsity: cut_to.unwrap_or_else(|| shares.reached_sparsity()),
        natural_sparsity: cut_to.is_none().then(|| shares.natural_sparsity()),
        kept_energy: cut_to.is_none().then(|| shares.kept_energy_share()),
        tokens: evaluated.tokens,
        seconds: evaluated.seconds,
        tokens_per_second: evaluated.tokens_per_second(),
        peak_rss_bytes: system::peak_rss_bytes(),
        ..Answer::default()
    };
    match &evaluated.rows {
        Rows::Windows(rows) => {
            let nll: f64 = rows.iter().map(|row| row.nll_nats).sum();
            let n_targets: u64 = rows.iter().map(|row| u64::from(row.n_targets)).sum();
            answer.perplexity = finite("perplexity", (nll / n_targets as f64).exp());
            answer.nll_nats = Some(nll);
            answer.n_windows = Some(rows.len());
            answer.n_targets = Some(n_targets);
        }
        Rows::Items(rows) => {
            let n_correct = rows.iter().filter(|row| row.correct).count();
            let logprob: f64 = rows.iter().map(|row| row.word_logprob_nats).sum();
            answer.accuracy = Some(n_correct as f64 / rows.len() as f64);
            answer.n_correct = Some(n_correct);
            answer.n_items = Some(rows.len());
            answer.word_perplexity =
                finite("word_perplexity", (-logprob / rows.len() as f64).exp());
        }
        Rows::Neurons(_) | Rows::Channels(_) | Rows::Overlaps(_) => {
            unreachable!("an evaluation gives windows or items")
        }
    }
    answer
}

/// A number that can be written down; one that cannot is left out, and that is said.
fn finite(name: &str, value: f64) -> Option<f64> {
    if value.is_finite() {
        return Some(value);
    }
    tracing::warn!("{name} is left out: it is larger than the largest number");
    None
}

fn print(request: &CellRequest, answer: &Answer) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let answer = serde_json::to_value(answer)?;
    if request.json {
        writeln!(out, "{answer}")?;
        return Ok(());
    }
    for (name, value) in answer.as_object().into_iter().flatten() {
        match value {
            serde_json::Value::String(text) => writeln!(out, "{name:>18}  {text}")?,
            value => writeln!(out, "{name:>18}  {value}")?,
        }
    }
    Ok(())
}
