//! The rows of a recipe beside those of dense, over all stretches of a text.

use evidence::{CellResult, differences};
use statistics::{PairedCounts, WindowLoss};

use crate::measured::right;
use crate::perplexity::losses;

/// What two models came to on the same windows or items, in one order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pairs {
    /// Losses of windows.
    Losses {
        /// Of dense.
        dense: Vec<WindowLoss>,
        /// Of the recipe.
        own: Vec<WindowLoss>,
    },
    /// Answers; the recipe is the first.
    Answers(PairedCounts),
}

impl Pairs {
    /// Of the cells of both, stretch by stretch.
    ///
    /// # Errors
    /// Two cells that may not be compared, or none at all.
    pub(super) fn of(dense: &[&CellResult], own: &[&CellResult]) -> Result<Pairs, String> {
        if dense.len() != own.len() || own.is_empty() {
            return Err(format!("{} cells beside {} of dense", own.len(), dense.len()));
        }
        for (dense, own) in dense.iter().zip(own) {
            let reasons = differences(own, dense);
            if !reasons.is_empty() {
                return Err(format!("not compared with dense: {}", reasons.join("; ")));
            }
        }
        if own.iter().all(|cell| !cell.windows().is_empty()) {
            let all = |cells: &[&CellResult]| cells.iter().flat_map(|cell| losses(cell)).collect();
            return Ok(Pairs::Losses { dense: all(dense), own: all(own) });
        }
        let all =
            |cells: &[&CellResult]| -> Vec<bool> { cells.iter().flat_map(|c| right(c)).collect() };
        let counts = PairedCounts::from_outcomes(&all(own), &all(dense));
        counts.map(Pairs::Answers).map_err(|error| error.to_string())
    }

    /// Windows or items.
    pub(super) fn n(&self) -> u64 {
        match self {
            Pairs::Losses { own, .. } => own.len() as u64,
            Pairs::Answers(counts) => counts.items(),
        }
    }
}
