//! One point of the grid, and its canonical id.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{DeviceName, Policy, Protocol, Treatment};

/// Where the kept sets are chosen when they are chosen before the run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The name of the calibration text.
    pub dataset: String,
    /// Windows of text used; none means all.
    pub limit: Option<usize>,
    /// Ids in one window.
    pub window_tokens: usize,
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
    /// Present exactly when the treatment needs it.
    pub calibration: Option<Calibration>,
    /// What is done to the model.
    pub treatment: Treatment,
}

impl Cell {
    /// A short line for people, e.g.
    /// `smollm2 wikitext2 ppl-1024 window κ=.9 W=64 window-mean magnitude`.
    pub fn label(&self) -> String {
        let Treatment { policy, score, sparsity, window, rule, .. } = &self.treatment;
        let mut label = format!("{} {} {} {policy}", self.model, self.dataset, self.protocol);
        if *policy != Policy::Dense {
            let decimal = shortest_decimal(*sparsity);
            let bare = decimal.strip_prefix('0').filter(|rest| !rest.is_empty());
            let _ = write!(label, " κ={}", bare.unwrap_or(&decimal));
        }
        if let (Policy::Window, Some(tokens)) = (policy, window) {
            let _ = write!(label, " W={tokens}");
        }
        if let Some(rule) = rule {
            let _ = write!(label, " {rule}");
        }
        if let Some(score) = score {
            let _ = write!(label, " {score}");
        }
        label
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
    /// The calibration text, where one is used.
    pub calibration_text: Option<String>,
    /// Digest of the source code that computes numbers.
    pub code_version: String,
    /// The type that numbers are computed in: `f32`.
    pub dtype: String,
    /// Where they are computed: devices round in different ways.
    pub device: DeviceName,
}

/// The id of a cell: the first 16 hex digits of the SHA-256 of a canonical JSON object.
///
/// Everything that can change the cell's numbers enters; the *names* of models and texts do not
/// (their hashes do), so a renamed entry keeps its results. The object is flat and its keys are
/// sorted, so neither the order nor the format of a pipeline file matters.
pub fn cell_id(cell: &Cell, inputs: &Inputs) -> String {
    let Cell { model: _, dataset: _, protocol, limit, calibration, treatment } = cell;
    let Treatment { part, policy, score, sparsity, window, rule, prompt_tokens, seed } = treatment;
    let Inputs { weights, tokenizer, text, calibration_text, code_version, dtype, device } = inputs;
    let calibration = calibration.as_ref();
    let fields: BTreeMap<&str, Value> = BTreeMap::from([
        ("calibration", json!(calibration.is_some())),
        ("calibration_limit", json!(calibration.and_then(|c| c.limit))),
        ("calibration_text", json!(calibration_text)),
        ("calibration_window_tokens", json!(calibration.map(|c| c.window_tokens))),
        ("code_version", json!(code_version)),
        ("device", json!(device)),
        ("dtype", json!(dtype)),
        ("limit", json!(limit)),
        ("part", json!(part.as_str())),
        ("policy", json!(policy.as_str())),
        ("prompt_tokens", json!(prompt_tokens)),
        ("protocol", json!(protocol.to_string())),
        ("rule", json!(rule.map(|r| r.as_str()))),
        ("score", json!(score.map(|s| s.as_str()))),
        ("seed", json!(seed)),
        ("sparsity", json!(shortest_decimal(*sparsity))),
        ("text", json!(text)),
        ("tokenizer", json!(tokenizer)),
        ("weights", json!(weights)),
        ("window", json!(window)),
    ]);
    let canonical = Value::from_iter(fields.iter().map(|(k, v)| (*k, v.clone())));
    // Text of a JSON value cannot fail; keys are sorted because they were inserted sorted.
    let digest = Sha256::digest(canonical.to_string().as_bytes());
    digest[..8].iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
