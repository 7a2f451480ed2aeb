//! `--filter 'policy=dynamic,sparsity=0.9'`: a part of the grid.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::{Cell, Part, Step, UnknownName, Way, kinds, shortest_decimal};

/// The keys that every cell has; those of steps come from the table of kinds.
const OF_CELL: [&str; 6] = ["model", "dataset", "protocol", "part", "policy", "recipe"];

/// Every key that a filter may have: those of a cell, ways and settings of steps.
fn keys() -> BTreeSet<&'static str> {
    let settings = kinds().iter().flat_map(|kind| kind.settings.iter().map(|own| own.name));
    let ways = Way::ALL.iter().map(|way| way.as_str());
    OF_CELL.into_iter().chain(ways).chain(settings).collect()
}

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

/// The values of one key, as written in a filter: one for every step that has it; `none` where there is
/// none.
fn values_of(cell: &Cell, key: &str) -> BTreeSet<String> {
    let steps = cell.recipe.steps();
    let flat = cell.recipe.treatment();
    let values: BTreeSet<String> = match key {
        "model" => [cell.model.clone()].into(),
        "dataset" => [cell.dataset.clone()].into(),
        "protocol" => [cell.protocol.to_string()].into(),
        "recipe" => [cell.recipe.text()].into(),
        "part" if steps.is_empty() => [Part::Ffn.to_string()].into(),
        "part" => steps.iter().map(|step| step.kind().part.to_owned()).collect(),
        // A recipe that no policy describes has none.
        "policy" => flat.iter().map(|flat| flat.policy.to_string()).collect(),
        "window" => steps.iter().filter_map(|step| step.window()).map(|w| w.to_string()).collect(),
        _ => steps.iter().filter_map(|step| value_of(step, key)).collect(),
    };
    match (values.is_empty(), key) {
        (false, _) => values,
        (true, "sparsity") => ["0".to_owned()].into(),
        (true, _) => ["none".to_owned()].into(),
    }
}

fn value_of(step: &Step, key: &str) -> Option<String> {
    if step.way().as_str() == key {
        return Some(step.kind().name.to_owned());
    }
    step.value(key).map(|value| value.to_string())
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
            let known = keys();
            if !known.contains(key) {
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
    /// The places of the cells that match, in their order.
    ///
    /// # Errors
    /// [`FilterError::Value`] when a value belongs to no cell at all (with the nearest value that
    /// does), [`FilterError::Empty`] when nothing is left.
    pub fn places(&self, cells: &[Cell]) -> Result<Vec<usize>, FilterError> {
        for (key, values) in &self.allowed {
            let present: BTreeSet<String> =
                cells.iter().flat_map(|cell| values_of(cell, key)).collect();
            if let Some(absent) = values.iter().find(|value| !present.contains(*value)) {
                let known = present.iter().map(String::as_str);
                let what = format!("{key} of this pipeline");
                return Err(FilterError::Value(UnknownName::new(what, absent.as_str(), known)));
            }
        }
        let matches = |cell: &Cell| {
            self.allowed.iter().all(|(key, allowed)| !values_of(cell, key).is_disjoint(allowed))
        };
        let places: Vec<usize> = (0..cells.len()).filter(|place| matches(&cells[*place])).collect();
        if places.is_empty() { Err(FilterError::Empty) } else { Ok(places) }
    }

    /// The cells that match, in their order.
    ///
    /// # Errors
    /// As [`Filter::places`].
    pub fn select(&self, cells: &[Cell]) -> Result<Vec<Cell>, FilterError> {
        Ok(self.places(cells)?.into_iter().map(|place| cells[place].clone()).collect())
    }
}
