//! The perplexity table of one (model, dataset, protocol).

use std::collections::{BTreeMap, BTreeSet};

use evidence::{AgainstDense, CellResult, Group, Key, Paired, Row, dense_of};
use rayon::prelude::*;
use serde::Serialize;
use statistics::{BootstrapPlan, ConfidenceLevel, Draws, Interval, StatisticsError, WindowLoss};

use crate::remark::{Remark, Remarked};
use crate::table::Table;

/// How every interval of a ratio is made; stated below each table.
pub const BOOTSTRAP: BootstrapPlan =
    BootstrapPlan { resamples: 10_000, block_windows: 1, seed: 1, level: ConfidenceLevel::P95 };

/// A cell's perplexity divided by its dense baseline's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PerplexityRatio {
    /// The dense cell.
    pub dense_cell_id: String,
    /// This perplexity over that of dense.
    pub ratio: f64,
    /// Limits of the 95 % interval; none for a single window.
    pub lower: Option<f64>,
    /// The upper limit.
    pub upper: Option<f64>,
}

/// What a perplexity protocol measures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Perplexity {
    /// None when it does not exist as a number; a note says why.
    pub perplexity: Option<f64>,
    /// Windows of text.
    pub n_windows: usize,
    /// Tokens that were predicted.
    pub n_targets: u64,
    /// How it stands to dense.
    pub against_dense: AgainstDense<PerplexityRatio>,
    /// What a reader has to know.
    #[serde(skip)]
    pub remarks: Vec<Remark>,
}

impl Paired for Perplexity {
    fn dense_cell_id(&self) -> Option<&str> {
        Some(&self.ratio()?.dense_cell_id)
    }
}

impl Remarked for Perplexity {
    fn remarks(&self) -> &[Remark] {
        &self.remarks
    }
}

impl Perplexity {
    /// The comparison with dense, where there is one.
    pub fn ratio(&self) -> Option<&PerplexityRatio> {
        self.against_dense.compared()
    }
}

/// All cells of one model, dataset and perplexity protocol.
pub type PerplexityTable = Table<Perplexity>;

/// The resamples of [`BOOTSTRAP`] for every number of windows that some cell has.
pub struct Resamples(BTreeMap<usize, Draws>);

impl Resamples {
    /// Draws for all cells at once: their plan is one, so their draws are.
    pub fn for_results(results: &[CellResult]) -> Self {
        let sizes: BTreeSet<usize> = results.iter().map(|result| losses(result).len()).collect();
        let sizes: Vec<usize> = sizes.into_iter().collect();
        // A number that is too small for a bootstrap has no draws.
        let draws = sizes.into_par_iter().filter_map(|n| Some((n, Draws::new(n, BOOTSTRAP).ok()?)));
        Resamples(draws.collect())
    }

    /// The interval of `treated` / `baseline`, as [`statistics::perplexity_ratio_interval`] gives it.
    pub fn interval(
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
pub fn rows(group: &Group<'_>, resamples: &Resamples) -> Vec<Row<Perplexity>> {
    group.cells.par_iter().map(|cell| row(*cell, group, resamples)).collect()
}

fn row(
    (key, result): (Key, &CellResult),
    group: &Group<'_>,
    resamples: &Resamples,
) -> Row<Perplexity> {
    let mut remarks = Vec::new();
    let windows = losses(result);
    let perplexity = statistics::perplexity(&windows)
        .map_err(|error| remarks.push(Remark::NoPerplexity(error.to_string())))
        .ok();
    let compared =
        dense_of((key, result), group).try_map(|dense| ratio(dense, &windows, resamples));
    let against_dense = compared
        .unwrap_or_else(|error| AgainstDense::Refused { reason: format!("not compared: {error}") });
    match &against_dense {
        AgainstDense::Refused { reason } => remarks.push(Remark::Refused(reason.clone())),
        AgainstDense::Compared(ratio) if ratio.lower.is_none() => remarks.push(Remark::OneWindow),
        _ => {}
    }
    let (n_windows, n_targets) =
        (windows.len(), windows.iter().map(|window| u64::from(window.n_targets)).sum());
    let measured = Perplexity { perplexity, n_windows, n_targets, against_dense, remarks };
    Row::from_cell((key, result), group, measured)
}

/// The ratio with its interval; without limits for one window.
pub(crate) fn ratio(
    dense: &CellResult,
    windows: &[WindowLoss],
    resamples: &Resamples,
) -> Result<PerplexityRatio, StatisticsError> {
    let dense_losses = losses(dense);
    let dense_cell_id = dense.id.clone();
    match resamples.interval(&dense_losses, windows) {
        Ok(interval) => {
            let (lower, upper) = (Some(interval.lower), Some(interval.upper));
            let ratio = interval.estimate;
            Ok(PerplexityRatio { dense_cell_id, ratio, lower, upper })
        }
        Err(StatisticsError::TooFew { .. }) => {
            let ratio = statistics::perplexity_ratio(&dense_losses, windows)?;
            Ok(PerplexityRatio { dense_cell_id, ratio, lower: None, upper: None })
        }
        Err(error) => Err(error),
    }
}

/// The losses of a cell's windows; a cell of items has none.
pub fn losses(result: &CellResult) -> Vec<WindowLoss> {
    let loss =
        |row: &tables::WindowRow| WindowLoss { nll_nats: row.nll_nats, n_targets: row.n_targets };
    result.windows().iter().map(loss).collect()
}
