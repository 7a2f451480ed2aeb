//! One point of the grid, and its canonical id.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    Compare, DeviceName, Needs, Observation, Part, Protocol, Recipe, TimeSteps, Treatment,
};

/// Where the kept sets are chosen when they are chosen before the run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The name of the calibration text.
    pub dataset: String,
    /// Windows of text used; none means all.
    pub limit: Option<usize>,
    /// Ids in one window.
    pub window_tokens: usize,
}

/// Ids in one window of calibration text where nothing else is said and the protocol has no windows.
pub const DEFAULT_CALIBRATION_WINDOW_TOKENS: usize = 1024;

/// Ids in one window of calibration text: as many as are given; else as a window of the protocol has,
/// so that sets are chosen on sequences like those that are measured (and a model whose positions hold
/// the one holds the other); for protocols of items 1,024.
///
/// Cells by hand and cells of a pipeline both ask here.
pub fn calibration_window_tokens(protocol: Protocol, given: Option<usize>) -> usize {
    given.or(protocol.window_tokens()).unwrap_or(DEFAULT_CALIBRATION_WINDOW_TOKENS)
}

/// One point of the grid, by names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// The name of the model.
    pub model: String,
    /// The name of the text.
    pub dataset: String,
    /// How the text is turned into numbers.
    pub protocol: Protocol,
    /// Windows or items evaluated; none means all.
    pub limit: Option<usize>,
    /// Windows or items left out at the beginning of the text; none means that it begins with the first. Rows
    /// have their true places in the text, so that two stretches of it never pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
    /// Present exactly when the recipe needs it.
    pub calibration: Option<Calibration>,
    /// What is done to the model.
    pub recipe: Recipe,
    /// With what predictions are compared, beside the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<Compare>,
}

impl Cell {
    /// A short line for people, e.g.
    /// `smollm2 wikitext2 ppl-1024 window κ=.9 W=64 window-mean magnitude`.
    pub fn label(&self) -> String {
        let from = self.offset.map(|offset| format!(" from {offset}")).unwrap_or_default();
        format!("{} {} {}{from} {}", self.model, self.dataset, self.protocol, self.recipe.label())
    }

    /// The cell whose stored scores choose the sets of this cell's first step; none where no text does.
    ///
    /// It is what a pipeline asks for with `policy = "observe"` on the calibration text, so the two share
    /// one file. Later steps are scored on the model as the steps before left it, which no store holds; nor
    /// does one hold scores of heads.
    pub fn scores_cell(&self) -> Option<Cell> {
        let calibration = self.calibration.as_ref()?;
        let step = self.recipe.steps().first()?;
        let part = step.kind().name.parse().ok();
        let part = part.filter(|part| matches!(part, Part::Ffn | Part::State))?;
        let observation = match step.needs() {
            Needs::Forward => Observation::Forward,
            Needs::Gradient => Observation::Gradient,
            Needs::Nothing | Needs::Inputs => return None,
        };
        Some(Cell {
            model: self.model.clone(),
            dataset: calibration.dataset.clone(),
            protocol: Protocol::Perplexity { window_tokens: calibration.window_tokens },
            limit: calibration.limit,
            offset: None,
            calibration: None,
            recipe: Treatment::scores(part, observation, self.recipe.seed()).into(),
            compare: None,
        })
    }
}

/// The shortest decimal text that reads back as the same number: `0.9`, `0` for zero.
///
/// Used in labels and in the names of partition folders.
pub fn shortest_decimal(value: f64) -> String {
    format!("{}", value + 0.0)
}

/// What the numbers of a cell rest on besides the cell itself: SHA-256s, in lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// The weights file, or the digest of a folder's files.
    pub weights: String,
    /// The tokenizer; for a GGUF file that is the file itself.
    pub tokenizer: String,
    /// The evaluated text.
    pub text: String,
    /// The file that defines the task, where a user gives one; those of this project are code.
    #[serde(default)]
    pub task: Option<String>,
    /// The calibration text, where one is used.
    pub calibration_text: Option<String>,
    /// Digest of the source code that computes numbers.
    pub code_version: String,
    /// The type that numbers are computed in: `f32`.
    pub dtype: String,
    /// Where they are computed: devices round in different ways.
    pub device: DeviceName,
    /// How the time steps of a Zamba2 model are limited.
    #[serde(default)]
    pub time_steps: TimeSteps,
}

/// The id of a cell: the first 16 hex digits of the SHA-256 of a canonical JSON object.
///
/// Everything that can change the cell's numbers enters; the *names* of models and texts do not
/// (their hashes do), so a renamed entry keeps its results. The object is flat and its keys are
/// sorted, so neither the order nor the format of a pipeline file matters.
pub fn cell_id(cell: &Cell, inputs: &Inputs) -> String {
    let Cell { model: _, dataset: _, protocol, limit, offset, calibration, recipe, compare } = cell;
    let Inputs { weights, tokenizer, text, calibration_text, code_version, dtype, .. } = inputs;
    let Inputs { device, time_steps, .. } = inputs;
    let calibration = calibration.as_ref();
    let mut fields: BTreeMap<&str, Value> = BTreeMap::from([
        ("calibration", json!(calibration.is_some())),
        ("calibration_limit", json!(calibration.and_then(|c| c.limit))),
        ("calibration_text", json!(calibration_text)),
        ("calibration_window_tokens", json!(calibration.map(|c| c.window_tokens))),
        ("code_version", json!(code_version)),
        ("device", json!(device)),
        ("dtype", json!(dtype)),
        ("limit", json!(limit)),
        ("protocol", json!(protocol.to_string())),
        ("seed", json!(recipe.seed())),
        ("text", json!(text)),
        ("tokenizer", json!(tokenizer)),
        ("weights", json!(weights)),
    ]);
    match recipe.treatment() {
        Some(treatment) => fields.extend(flat_fields(&treatment)),
        None => fields.extend([("recipe", json!(recipe.steps()))]),
    }
    // Axes that came later are there only where they are used, so that they gave no old cell a new id.
    let later = [
        ("compare", compare.map(|c| json!(c.as_str()))),
        ("offset", offset.map(|n| json!(n))),
        ("task", inputs.task.as_ref().map(|sha256| json!(sha256))),
        ("time_steps", Some(time_steps).filter(|t| **t != TimeSteps::default()).map(|t| json!(t))),
    ];
    fields.extend(later.into_iter().filter_map(|(key, value)| Some((key, value?))));
    // Text of JSON values cannot fail; keys are sorted because a `BTreeMap` is.
    let canonical = serde_json::to_string(&fields).unwrap_or_default();
    let digest = Sha256::digest(canonical.as_bytes());
    digest[..8].iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The fields of a recipe of one step on neurons or channels, or of none: as cells had them before there
/// were recipes, so that these keep their ids.
fn flat_fields(treatment: &Treatment) -> Vec<(&'static str, Value)> {
    let Treatment { part, policy, score, sparsity, window, rule, prompt_tokens, .. } = treatment;
    let Treatment { sinks, mode, recalibration, observation, sample, .. } = treatment;
    let mut fields = vec![
        ("part", json!(part.as_str())),
        ("policy", json!(policy.as_str())),
        ("prompt_tokens", json!(prompt_tokens)),
        ("rule", json!(rule.map(|r| r.as_str()))),
        ("score", json!(score.map(|s| s.as_str()))),
        ("sparsity", json!(shortest_decimal(*sparsity))),
        ("window", json!(window)),
    ];
    let later = [
        ("mode", mode.map(|m| json!(m.as_str()))),
        ("observation", observation.map(|o| json!(o.as_str()))),
        ("recalibration", recalibration.map(|r| json!(r.as_str()))),
        ("sample", sample.map(|n| json!(n))),
        ("sinks", sinks.map(|n| json!(n))),
    ];
    fields.extend(later.into_iter().filter_map(|(key, value)| Some((key, value?))));
    fields
}
