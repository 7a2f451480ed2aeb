//! Model, cuts and calibration of a cell of a run, for `slim --from-cell`; and what was measured of them,
//! for the card.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use plan::{ModelInput, SlimFormat, SlimRequest, SlimText, TextInput};

use crate::build;
use crate::exit::Exit;
use crate::explain::known::{find, read_runs};
use crate::explain::rests::Rests;
use crate::explain::state::State;
use crate::hashing::sha256_file;
use crate::inputs::weights_digest;
use crate::slim::provenance;
use crate::workspace::Workspace;

/// The request that a cell stands for, once `finish` has set what it says nothing of.
pub(crate) fn request(
    workspace: &Workspace,
    cell: &str,
    finish: impl FnOnce(SlimRequest) -> SlimRequest,
) -> Result<SlimRequest> {
    let (run, cell) = cell.rsplit_once('/').ok_or_else(|| {
        Exit::usage(format!("--from-cell {cell}: expected RUN/CELL, such as results/cuts/3f2a9c"))
    })?;
    let folder = Path::new(run);
    let worker = build::worker(workspace)?;
    let runs = read_runs(&worker, folder)?;
    let id = find(cell, &runs)?;
    let known = runs.iter().find_map(|run| Some((run, run.get(&id)?)));
    let (run, known) = known.with_context(|| format!("no cell `{cell}`"))?;
    let lost =
        |what: String| Exit::results(format!("cell {id}: {what}: name MODEL and --step instead"));
    let own = known.cell.as_ref().ok_or_else(|| lost("its file is damaged".to_owned()))?;
    SlimRequest::check(&own.recipe).map_err(|why| Exit::usage(format!("cell {id}: {why}")))?;
    let order = run.order.as_ref().ok_or_else(|| lost("its run has no order".to_owned()))?;
    let model = order.models.iter().find(|model| model.name == own.model);
    let model =
        model.ok_or_else(|| lost(format!("the run's order has no model `{}`", own.model)))?;
    let calibration = match &own.calibration {
        None => None,
        Some(calibration) => {
            let text = order.texts.iter().find(|text| text.name == calibration.dataset);
            let lacks = || lost(format!("the run's order has no text `{}`", calibration.dataset));
            Some(SlimText {
                text: text.ok_or_else(lacks)?.clone(),
                limit: calibration.limit,
                window_tokens: Some(calibration.window_tokens),
            })
        }
    };
    let state = State::of(&worker, run, known)?;
    let rests = Rests::of(run, &id, own, &state);
    let text = calibration.as_ref().map(|own| &own.text);
    unchanged(workspace, (&id, &rests, &state), model, text)?;
    let request = finish(SlimRequest {
        model: model.clone(),
        recipe: own.recipe.clone(),
        calibration,
        out: Path::new("").to_owned(),
        format: SlimFormat::F32,
        uniform: false,
        shard_bytes: None,
        device: order.device,
        provenance: provenance(workspace)?,
        measured: None,
        dry_run: false,
    });
    let measured = match request.dry_run {
        true => None,
        false => Some(measured(workspace, run.folder.path(), &id)?),
    };
    Ok(SlimRequest { measured, ..request })
}

/// What was measured is of files with the hashes that gave the cell its id: it says nothing of others that
/// bear their names now.
///
/// # Errors
/// Exit code 4 where nothing was measured, 3 with every file that is gone or has changed.
fn unchanged(
    workspace: &Workspace,
    (id, rests, state): (&str, &Rests, &State),
    model: &ModelInput,
    text: Option<&TextInput>,
) -> Result<(), Exit> {
    let done = matches!(state, State::Done { .. });
    let Some(then) = rests.recorded.as_ref().filter(|_| done) else {
        return Err(Exit::results(format!(
            "cell {id} is {}: run its grid, or name MODEL and --step instead",
            state.name()
        )));
    };
    let weights = (&model.path, weights_digest(&model.path), Some(&then.weights));
    let of_text = |own: &TextInput| sha256_file(&own.path).map(|hash| own.reading.identity(&hash));
    let text = text.map(|own| (&own.path, of_text(own), then.calibration_text.as_ref()));
    let problem = |(path, now, then): (&PathBuf, io::Result<String>, Option<&String>)| {
        let shown = workspace.show(path);
        match now {
            Ok(now) if Some(&now) == then => None,
            Ok(now) => {
                let then = then.map_or("none", String::as_str);
                Some(format!("{shown} has sha256 {now}, and had {then}"))
            }
            Err(error) => Some(format!("cannot read {shown} ({error})")),
        }
    };
    let problems: Vec<String> = std::iter::once(weights).chain(text).filter_map(problem).collect();
    if problems.is_empty() {
        return Ok(());
    }
    let list = problems.join("\n  ");
    let to_do = "run its grid again, or name MODEL and --step instead";
    Err(Exit::inputs(format!("cell {id} was measured on other files: {to_do}\n  {list}")))
}

/// What the run measured of the recipe of a cell, as Markdown.
fn measured(workspace: &Workspace, run: &Path, id: &str) -> Result<String> {
    let report = build::report(workspace)?;
    let mut command = Command::new(&report);
    command.arg("--results").arg(run).arg("--card").arg(id).stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("cannot start {}", report.display()))?;
    if !output.status.success() {
        return Err(Exit::results(format!("what was measured of {id} cannot be read")).into());
    }
    String::from_utf8(output.stdout).context("the report is no text")
}
