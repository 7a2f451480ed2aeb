//! The perplexity table of one (model, dataset, protocol).

use std::collections::{BTreeMap, BTreeSet};

use plan::Protocol;
use rayon::prelude::*;
use serde::Serialize;
use statistics::{BootstrapPlan, ConfidenceLevel, Draws, Interval, StatisticsError, WindowLoss};

use crate::baseline::{self, AgainstDense};
use crate::read::{CellResult, Rows};
use crate::row::{Group, Row};

/// How every interval of a ratio is made; stated below each table.
pub(crate) const BOOTSTRAP: BootstrapPlan =
    BootstrapPlan { resamples: 10_000, block_windows: 1, seed: 1, level: ConfidenceLevel::P95 };

/// A cell's perplexity divided by its dense baseline's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PerplexityRatio {
    pub(crate) dense_cell_id: String,
    pub(crate) ratio: f64,
    /// Limits of the 95 % interval; none for a single window.
    pub(crate) lower: Option<f64>,
    pub(crate) upper: Option<f64>,
}

/// What a perplexity protocol measures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Perplexity {
    /// None when it does not exist as a number; a note says why.
    pub(crate) perplexity: Option<f64>,
    pub(crate) n_windows: usize,
    pub(crate) n_targets: u64,
    pub(crate) against_dense: AgainstDense<PerplexityRatio>,
}

/// All cells of one model, dataset and perplexity protocol.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PerplexityTable {
    pub(crate) model: String,
    pub(crate) dataset: String,
    pub(crate) protocol: Protocol,
    pub(crate) rows: Vec<Row<Perplexity>>,
}

/// The resamples of [`BOOTSTRAP`] for every number of windows that some cell has.
pub(crate) struct Resamples(BTreeMap<usize, Draws>);

impl Resamples {
    /// Draws for all cells at once: their plan is one, so their draws are.
    pub(crate) fn of(results: &[CellResult]) -> Self {
        let sizes: BTreeSet<usize> = results.iter().map(|result| losses(result).len()).collect();
        let sizes: Vec<usize> = sizes.into_iter().collect();
        // A number that is too small for a bootstrap has no draws.
        let draws = sizes.into_par_iter().filter_map(|n| Some((n, Draws::new(n, BOOTSTRAP).ok()?)));
        Resamples(draws.collect())
    }

    /// The interval of `treated` / `baseline`, as [`statistics::perplexity_ratio_interval`] gives it.
    pub(crate) fn interval(
        &self,
        baseline: &[WindowLoss],
        treated: &[WindowLoss],
    ) -> Result<Interval, StatisticsError> {
        match self.0.get(&baseline.len()) {
            Some(draws) => draws.perplexity_ratio_interval(baseline, treated),
            None => statistics::perplexity_ratio_interval(baseline, treated, BOOTSTRAP),
        }
    }
}

/// The rows of `group`, in its order.
pub(crate) fn rows(group: &Group<'_>, resamples: &Resamples) -> Vec<Row<Perplexity>> {
    group.cells.par_iter().map(|result| row(result, group, resamples)).collect()
}

fn row(result: &CellResult, group: &Group<'_>, resamples: &Resamples) -> Row<Perplexity> {
    let mut notes = group.distinguishing_notes(result);
    let windows = losses(result);
    let perplexity = statistics::perplexity(&windows)
        .map_err(|error| notes.push(format!("no perplexity: {error}")))
        .ok();
    let against_dense = match baseline::find(result, group) {
        AgainstDense::Compared(dense) => match ratio(dense, &windows, resamples) {
            Ok((ratio, note)) => {
                notes.extend(note);
                AgainstDense::Compared(ratio)
            }
            Err(error) => AgainstDense::Refused { reason: format!("not compared: {error}") },
        },
        AgainstDense::Refused { reason } => AgainstDense::Refused { reason },
        AgainstDense::NoDense => AgainstDense::NoDense,
        AgainstDense::Baseline => AgainstDense::Baseline,
    };
    if let AgainstDense::Refused { reason } = &against_dense {
        notes.push(reason.clone());
    }
    let n_targets = windows.iter().map(|window| u64::from(window.n_targets)).sum();
    let measured = Perplexity { perplexity, n_windows: windows.len(), n_targets, against_dense };
    Row::of(result, measured, notes)
}

/// The ratio with its interval, and what has to be said of it.
fn ratio(
    dense: &CellResult,
    windows: &[WindowLoss],
    resamples: &Resamples,
) -> Result<(PerplexityRatio, Option<String>), StatisticsError> {
    let dense_losses = losses(dense);
    let dense_cell_id = dense.id.clone();
    match resamples.interval(&dense_losses, windows) {
        Ok(interval) => {
            let (lower, upper) = (Some(interval.lower), Some(interval.upper));
            let ratio = interval.estimate;
            Ok((PerplexityRatio { dense_cell_id, ratio, lower, upper }, None))
        }
        Err(StatisticsError::TooFew { .. }) => {
            let ratio = statistics::perplexity_ratio(&dense_losses, windows)?;
            let note = Some("1 window: no interval".to_owned());
            Ok((PerplexityRatio { dense_cell_id, ratio, lower: None, upper: None }, note))
        }
        Err(error) => Err(error),
    }
}

/// The losses of a cell's windows; a cell of items has none.
pub(crate) fn losses(result: &CellResult) -> Vec<WindowLoss> {
    match &result.rows {
        Rows::Items(_) => Vec::new(),
        Rows::Windows(rows) => rows
            .iter()
            .map(|row| WindowLoss { nll_nats: row.nll_nats, n_targets: row.n_targets })
            .collect(),
    }
}
