//! What a cell rests on: files with their hashes, the cell it is compared with, the scores it reads; and
//! what rests on it.

use std::path::PathBuf;

use plan::{Cell, DeviceName, Inputs, TextInput, TimeSteps};

use crate::explain::known::KnownRun;
use crate::explain::state::State;

/// Another cell, as this one stands to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relation {
    /// None where the run does not know it.
    pub(crate) id: Option<String>,
    pub(crate) label: String,
    pub(crate) state: &'static str,
}

impl Relation {
    fn of(run: &KnownRun, cell: &Cell, id: Option<&str>) -> Relation {
        let known = id.and_then(|id| run.get(id));
        Relation {
            id: id.map(str::to_owned),
            label: cell.label(),
            state: known.map_or("not in this run", |known| known.state_name()),
        }
    }
}

/// One input of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    /// `weights`, `tokenizer`, `text`, `calibration text`, `code version`, `device`.
    pub(crate) what: &'static str,
    /// Its name, and its file where the run's order says it.
    pub(crate) name: String,
    pub(crate) path: Option<PathBuf>,
    /// The hash that entered the cell's id.
    pub(crate) hash: String,
}

/// All that a cell rests on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rests {
    pub(crate) baseline: Option<Relation>,
    pub(crate) scores: Option<Relation>,
    /// None where neither an order nor a file says them.
    pub(crate) recorded: Option<Inputs>,
    pub(crate) inputs: Vec<Input>,
}

impl Rests {
    pub(crate) fn of(run: &KnownRun, id: &str, cell: &Cell, state: &State) -> Rests {
        let baseline = run.baseline_of(id);
        let scores = run.scores_of(id);
        let recorded = recorded(run, id, cell, state);
        let inputs = recorded.as_ref().map(|inputs| list(run, cell, inputs)).unwrap_or_default();
        Rests {
            baseline: baseline.map(|(dense, id)| Relation::of(run, &dense, id)),
            scores: scores.map(|(scores, id)| Relation::of(run, &scores, id)),
            recorded,
            inputs,
        }
    }
}

/// The inputs that gave the cell its id: the order's, if the id is of the order, else the file's.
fn recorded(run: &KnownRun, id: &str, cell: &Cell, state: &State) -> Option<Inputs> {
    let of_order = run.order.as_ref().and_then(|order| order.inputs_of(cell));
    if let Some(inputs) = of_order.filter(|inputs| plan::cell_id(cell, inputs) == id) {
        return Some(inputs);
    }
    let State::Done { origin, .. } = state else { return None };
    let from = &origin.provenance;
    let with = |time_steps: TimeSteps| Inputs {
        weights: from.weights_sha256.clone(),
        tokenizer: from.tokenizer_sha256.clone(),
        text: from.text_sha256.clone(),
        // A user's own definition is known by the work order alone.
        task: None,
        calibration_text: from.calibration_sha256.clone(),
        code_version: from.code_version.clone(),
        dtype: "f32".to_owned(),
        device: from.device.parse().unwrap_or(DeviceName::Cpu),
        time_steps,
    };
    // The file does not say the rule, but its name does: only one gives the cell its id.
    let mut rules = TimeSteps::ALL.iter().map(|rule| with(*rule));
    let found = rules.find(|inputs| plan::cell_id(cell, inputs) == id);
    Some(found.unwrap_or_else(|| with(TimeSteps::default())))
}

fn list(run: &KnownRun, cell: &Cell, inputs: &Inputs) -> Vec<Input> {
    let order = run.order.as_ref();
    let model = order.and_then(|order| order.models.iter().find(|model| model.name == cell.model));
    let text = |name: &str| -> Option<&TextInput> {
        order.and_then(|order| order.texts.iter().find(|text| text.name == name))
    };
    let input = |what, name: &str, path, hash: &str| Input {
        what,
        name: name.to_owned(),
        path,
        hash: hash.to_owned(),
    };
    let of_model = model.map(|model| model.path.clone());
    // A tokenizer lies with its model unless the order names another folder.
    let of_tokenizer = model.and_then(|model| model.tokenizer.clone()).or(of_model.clone());
    let of_text = text(&cell.dataset).map(|text| text.path.clone());
    let mut list = vec![
        input("weights", &cell.model, of_model, &inputs.weights),
        input("tokenizer", &cell.model, of_tokenizer, &inputs.tokenizer),
        input("text", &cell.dataset, of_text, &inputs.text),
    ];
    if let (Some(calibration), Some(hash)) = (&cell.calibration, &inputs.calibration_text) {
        let path = text(&calibration.dataset).map(|text| text.path.clone());
        list.push(input("calibration text", &calibration.dataset, path, hash));
    }
    list.push(input("code version", "", None, &inputs.code_version));
    list.push(input("device", "", None, &inputs.device.to_string()));
    list
}

/// What rests on a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependents {
    /// Cells that are compared with it.
    pub(crate) compared: Vec<Relation>,
    /// Cells that read its scores.
    pub(crate) scored: Vec<Relation>,
}

impl Dependents {
    pub(crate) fn of(run: &KnownRun, id: &str) -> Dependents {
        let (compared, scored) = run.dependents_of(id);
        let relations = |ids: Vec<&str>| {
            let relation = |id: &str| {
                let cell = run.get(id)?.cell.as_ref()?;
                Some(Relation::of(run, cell, Some(id)))
            };
            ids.into_iter().filter_map(relation).collect()
        };
        Dependents { compared: relations(compared), scored: relations(scored) }
    }
}
