//! Whether `run-grid` would compute a cell again, and why: its recorded inputs beside those that the
//! present pipeline gives it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use plan::{Cell, Inputs, OrderProvenance, Pipeline, WorkOrder, cell_id};
use runs::space_of;

use crate::code_version::{code_version, revision};
use crate::explain::known::KnownRun;
use crate::explain::state::State;
use crate::inputs::{Purpose, resolve};
use crate::workspace::Workspace;

/// What would happen to a cell if its grid were run now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Again {
    /// None where it cannot be said.
    pub(crate) would_run: Option<bool>,
    /// In sentences, the decisive one first.
    pub(crate) reasons: Vec<String>,
    pub(crate) changes: Vec<Changed>,
    /// The pipeline that was looked at.
    pub(crate) pipeline: Option<PathBuf>,
    /// The id that it gives the cell now.
    pub(crate) id_now: Option<String>,
}

/// An input that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) what: &'static str,
    pub(crate) then: String,
    pub(crate) now: String,
}

/// A cell whose fate is asked for.
pub(crate) struct Asked<'a> {
    pub(crate) run: &'a KnownRun,
    pub(crate) id: &'a str,
    pub(crate) cell: &'a Cell,
    pub(crate) state: &'a State,
    /// What gave the cell its id, where it is known.
    pub(crate) recorded: Option<&'a Inputs>,
}

impl Again {
    /// Reads the present pipeline of the run, `given` or the one of its name, and hashes what the cell
    /// would rest on. What is wrong with them is a reason, not an error.
    pub(crate) fn of(workspace: &Workspace, asked: &Asked<'_>, given: Option<&Path>) -> Again {
        let unknown = |reason: String, pipeline: Option<PathBuf>| Again {
            would_run: None,
            reasons: vec![reason],
            changes: Vec::new(),
            pipeline,
            id_now: None,
        };
        if given.is_none() && space_of(asked.run.folder.path()).is_some() {
            return unknown(of_search(asked), None);
        }
        let (path, pipeline) = match find_pipeline(workspace, &asked.run.name, given) {
            Ok(found) => found,
            Err(reason) => return unknown(reason, None),
        };
        let shown = workspace.show(&path);
        if !asks_for(&pipeline, asked.cell) {
            let nearest = nearest(&pipeline, asked.cell).unwrap_or_default();
            let reason = format!("{shown} does not ask for it{nearest}");
            let pipeline = Some(path);
            return Again { would_run: Some(false), pipeline, ..unknown(reason, None) };
        }
        match present_inputs(workspace, &path, &pipeline, asked) {
            Ok(inputs) => judge(asked, path, &inputs),
            Err(error) => unknown(format!("what it would rest on now: {error:#}"), Some(path)),
        }
    }
}

/// A search has no pipeline: it decides on the way what is run.
fn of_search(asked: &Asked<'_>) -> String {
    let order = asked.run.order.as_ref();
    let command = order.map_or("cargo xtask advise", |own| own.provenance.command.as_str());
    format!(
        "a search decides stage by stage what is run, and computes no cell of this id twice: `{command}`"
    )
}

/// Every `.toml` file below `folder`, sorted.
fn toml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            toml_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "toml") {
            found.push(path);
        }
    }
}

/// The pipeline of a run's name; the error is a sentence.
fn find_pipeline(
    workspace: &Workspace,
    run: &str,
    given: Option<&Path>,
) -> Result<(PathBuf, Pipeline), String> {
    let known = workspace.models_lock().map_err(|error| format!("{error:#}"))?.names();
    let read = |path: &Path| -> Result<Pipeline, String> {
        let shown = workspace.show(path);
        let text =
            fs::read_to_string(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
        Pipeline::parse(&text, &known).map_err(|mistakes| format!("{shown}: {mistakes}"))
    };
    if let Some(path) = given {
        return Ok((path.to_owned(), read(path)?));
    }
    let mut paths = Vec::new();
    toml_files(&workspace.root().join("pipelines"), &mut paths);
    // The folder holds other files too, which are no pipelines.
    let named = |path: PathBuf| {
        let pipeline = read(&path).ok().filter(|pipeline| pipeline.name == run)?;
        Some((path, pipeline))
    };
    paths.into_iter().find_map(named).ok_or_else(|| {
        format!("no file in pipelines/ has the name `{run}`: name its file with --pipeline")
    })
}

/// Whether a pipeline has the cell, or one that reads its scores.
fn asks_for(pipeline: &Pipeline, cell: &Cell) -> bool {
    let asks = |own: &Cell| own == cell || own.scores_cell().is_some_and(|scores| scores == *cell);
    pipeline.cells.iter().any(asks)
}

/// What the pipeline asks for in its place: the same recipe on the same model and text.
fn nearest(pipeline: &Pipeline, cell: &Cell) -> Option<String> {
    let is_near = |own: &&Cell| {
        (&own.model, &own.dataset, own.protocol, own.recipe.steps())
            == (&cell.model, &cell.dataset, cell.protocol, cell.recipe.steps())
    };
    let near = pipeline.cells.iter().find(is_near)?;
    let all = |n: Option<usize>| n.map_or("all".to_owned(), |n| n.to_string());
    let mut differences = Vec::new();
    if near.limit != cell.limit {
        differences.push(format!("limit {} in place of {}", all(near.limit), all(cell.limit)));
    }
    if near.offset != cell.offset {
        let none = |n: Option<usize>| n.map_or("none".to_owned(), |n| n.to_string());
        let (now, then) = (none(near.offset), none(cell.offset));
        differences.push(format!("offset {now} in place of {then}"));
    }
    if near.calibration != cell.calibration {
        differences.push("another calibration".to_owned());
    }
    if near.compare != cell.compare {
        differences.push("another comparison".to_owned());
    }
    if near.recipe.seed() != cell.recipe.seed() {
        let (now, then) = (near.recipe.seed(), cell.recipe.seed());
        differences.push(format!("seed {now} in place of {then}"));
    }
    Some(format!(", but for the same with {}", differences.join(" and ")))
}

/// What the cell would rest on if its grid were run now, found and hashed as `run-grid` does it.
fn present_inputs(
    workspace: &Workspace,
    path: &Path,
    pipeline: &Pipeline,
    asked: &Asked<'_>,
) -> Result<Inputs> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let cells = [asked.cell.clone()];
    let lock = workspace.models_lock()?;
    let resolved = resolve(workspace, pipeline, folder, &cells, &lock, Purpose::Run)?;
    let order = asked.run.order.as_ref();
    let order = WorkOrder {
        run: pipeline.name.clone(),
        results: asked.run.folder.path().to_owned(),
        device: asked
            .recorded
            .map(|inputs| inputs.device)
            .or(order.map(|o| o.device))
            .unwrap_or_default(),
        provenance: OrderProvenance {
            revision: revision(workspace.root()),
            code_version: code_version(workspace.root())?,
            command: String::new(),
        },
        models: resolved.models,
        tasks: resolved.tasks,
        texts: resolved.texts,
        cells: Vec::new(),
    };
    order.inputs_of(asked.cell).ok_or_else(|| anyhow::anyhow!("its model or text is not known"))
}

/// The verdict once all is known.
fn judge(asked: &Asked<'_>, pipeline: PathBuf, now: &Inputs) -> Again {
    let id_now = cell_id(asked.cell, now);
    let mut reasons = Vec::new();
    let would_run = if id_now == asked.id {
        let (would_run, reason) = match asked.state {
            State::Done { .. } => {
                (false, "it is done, and its id is the one that the present pipeline gives".into())
            }
            State::Failed { .. } => {
                (true, "it failed, and a failed cell is tried again".to_owned())
            }
            State::Damaged { reason, .. } => (true, format!("its file does not count: {reason}")),
            State::Missing { holder: Some(holder), .. } => {
                (true, format!("it has no results yet; {holder} is at work in the run"))
            }
            State::Missing { .. } => (true, "it has no results yet".to_owned()),
        };
        reasons.push(reason);
        would_run
    } else {
        let other = asked.run.get(&id_now);
        let is_done = other.is_some_and(|known| known.results.is_some());
        let state = other.map_or("missing", |known| known.state_name());
        let changed = "what it rests on has changed since, as listed below";
        reasons.push(format!("{changed}; it is the cell {id_now} now, which is {state}"));
        !is_done
    };
    let changes = asked.recorded.map(|then| changes(then, now)).unwrap_or_default();
    Again {
        would_run: Some(would_run),
        reasons,
        changes,
        pipeline: Some(pipeline),
        id_now: Some(id_now),
    }
}

/// The inputs that differ.
fn changes(then: &Inputs, now: &Inputs) -> Vec<Changed> {
    let none = || "none".to_owned();
    let calibration = |inputs: &Inputs| inputs.calibration_text.clone().unwrap_or_else(none);
    let pairs = [
        ("code version", then.code_version.clone(), now.code_version.clone()),
        ("weights", then.weights.clone(), now.weights.clone()),
        ("tokenizer", then.tokenizer.clone(), now.tokenizer.clone()),
        ("text", then.text.clone(), now.text.clone()),
        ("calibration text", calibration(then), calibration(now)),
        ("device", then.device.to_string(), now.device.to_string()),
    ];
    let differing = pairs.into_iter().filter(|(_, then, now)| then != now);
    differing.map(|(what, then, now)| Changed { what, then, now }).collect()
}
