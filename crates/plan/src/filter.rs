//! `--filter 'policy=dynamic,sparsity=0.9'`: a part of the grid.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::{Cell, UnknownName, shortest_decimal};

const KEYS: &[&str] = &[
    "model",
    "dataset",
    "protocol",
    "part",
    "policy",
    "score",
    "sparsity",
    "window",
    "rule",
    "mode",
    "recalibration",
    "observation",
    "sample",
];

/// Which cells are meant: a cell must match one value of every key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    allowed: BTreeMap<String, BTreeSet<String>>,
}

/// Why a filter means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A piece without `=`.
    #[error("filter `{0}` is not of the form key=value")]
    NotAPair(String),
    /// An unknown key.
    #[error("filter: {0}")]
    Key(UnknownName),
    /// A value that no cell of the grid has.
    #[error("filter: {0}")]
    Value(UnknownName),
    /// Each value is there, but never together.
    #[error("filter: no cell has all of these values at once")]
    Empty,
}

/// The value of one key, as written in a filter; `none` where the cell has none.
fn value_of(cell: &Cell, key: &str) -> String {
    let treatment = &cell.treatment;
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    match key {
        "model" => cell.model.clone(),
        "dataset" => cell.dataset.clone(),
        "protocol" => cell.protocol.to_string(),
        "part" => treatment.part.to_string(),
        "policy" => treatment.policy.to_string(),
        "score" => or_none(treatment.score.map(|score| score.to_string())),
        "sparsity" => shortest_decimal(treatment.sparsity),
        "window" => or_none(treatment.window.map(|window| window.to_string())),
        "mode" => or_none(treatment.mode.map(|mode| mode.to_string())),
        "recalibration" => or_none(treatment.recalibration.map(|how| how.to_string())),
        "observation" => or_none(treatment.observation.map(|what| what.to_string())),
        "sample" => or_none(treatment.sample.map(|n| n.to_string())),
        _ => or_none(treatment.rule.map(|rule| rule.to_string())),
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    /// Reads `key=value,key=value`; a key that comes twice allows either value.
    fn from_str(text: &str) -> Result<Self, FilterError> {
        let mut filter = Filter::default();
        for piece in text.split(',').map(str::trim).filter(|piece| !piece.is_empty()) {
            let Some((key, value)) = piece.split_once('=') else {
                return Err(FilterError::NotAPair(piece.to_owned()));
            };
            let (key, value) = (key.trim(), value.trim());
            if !KEYS.contains(&key) {
                let known = KEYS.iter().copied();
                return Err(FilterError::Key(UnknownName::new("key", key, known)));
            }
            // `.9` and `0.90` are the same number.
            let value = match value.parse::<f64>() {
                Ok(number) if matches!(key, "sparsity" | "window") => shortest_decimal(number),
                _ => value.to_owned(),
            };
            filter.allowed.entry(key.to_owned()).or_default().insert(value);
        }
        Ok(filter)
    }
}

impl Filter {
    /// The cells that match, in their order.
    ///
    /// # Errors
    /// [`FilterError::Value`] when a value belongs to no cell at all (with the nearest value that
    /// does), [`FilterError::Empty`] when nothing is left.
    pub fn select(&self, cells: &[Cell]) -> Result<Vec<Cell>, FilterError> {
        for (key, values) in &self.allowed {
            let present: BTreeSet<String> = cells.iter().map(|cell| value_of(cell, key)).collect();
            if let Some(absent) = values.iter().find(|value| !present.contains(*value)) {
                let known = present.iter().map(String::as_str);
                let what = format!("{key} of this pipeline");
                return Err(FilterError::Value(UnknownName::new(what, absent.as_str(), known)));
            }
        }
        let matches = |cell: &&Cell| {
            self.allowed.iter().all(|(key, values)| values.contains(&value_of(cell, key)))
        };
        let selected: Vec<Cell> = cells.iter().filter(matches).cloned().collect();
        if selected.is_empty() { Err(FilterError::Empty) } else { Ok(selected) }
    }
}
