//! One cell that both runs measured.

use evidence::pairing::Both;
use plan::Cell;
use serde::Serialize;

use super::change::{Compared, Sameness};

/// What became of one cell that both runs measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Another text, another model, or other windows or items: nothing to be compared.
    Refused {
        /// Why.
        reason: String,
    },
    /// The same measurement, made twice.
    Compared(Compared),
}

/// One cell that both runs measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Matched {
    /// What it is called.
    pub label: String,
    /// The cell.
    pub cell: Cell,
    /// Its ids, which hold the code's version.
    pub cell_ids: Both<String>,
    /// Seconds that it took.
    pub seconds: Both<f64>,
    /// What became of it.
    pub outcome: Outcome,
}

impl Matched {
    /// The comparison, where there is one.
    pub fn compared(&self) -> Option<&Compared> {
        match &self.outcome {
            Outcome::Compared(compared) => Some(compared),
            Outcome::Refused { .. } => None,
        }
    }

    /// Whether it was compared and came out so.
    pub fn has(&self, verdict: Sameness) -> bool {
        self.compared().is_some_and(|compared| compared.verdict == verdict)
    }
}
