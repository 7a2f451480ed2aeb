//! The LAMBADA table of one (model, dataset, protocol).

use plan::Protocol;
use rayon::prelude::*;
use serde::Serialize;
use statistics::{
    ConfidenceLevel, PairedCounts, Proportion, StatisticsError, benjamini_hochberg, fisher_exact_p,
    holm, mcnemar_exact_p, minimum_detectable_difference_paired, newcombe_paired, pooled_z, wilson,
    word_perplexity,
};
use tables::ItemRow;

use crate::baseline::{self, AgainstDense};
use crate::format::points;
use crate::read::{CellResult, Rows};
use crate::row::{Group, Row};

/// Level below which a p-value is called significant in a note.
pub(crate) const ALPHA: f64 = 0.05;
/// Chance of finding the minimum detectable difference.
pub(crate) const POWER: f64 = 0.8;

/// A cell's accuracy minus its dense baseline's, on the same items.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct AccuracyDifference {
    pub(crate) dense_cell_id: String,
    /// This cell's accuracy minus the dense one's, with Newcombe's 95 % limits.
    pub(crate) difference: f64,
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    /// Items that only this cell, or only the dense one, gets right.
    pub(crate) only_this: u64,
    pub(crate) only_dense: u64,
    /// Exact McNemar p-value, raw and adjusted over the rows of this table.
    pub(crate) mcnemar_p: f64,
    pub(crate) mcnemar_p_holm: f64,
    pub(crate) mcnemar_p_benjamini_hochberg: f64,
    /// As if the items were different ones: the kind of p-value that was published.
    pub(crate) unpaired_z_p: f64,
    pub(crate) unpaired_fisher_p: f64,
    /// Smallest true difference found with 80 % power at this share of discordant items; none
    /// where none would be found.
    pub(crate) minimum_detectable_difference: Option<f64>,
}

/// What a LAMBADA protocol measures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Accuracy {
    pub(crate) n_correct: u64,
    pub(crate) n_items: u64,
    /// Share of correct items with Wilson's 95 % limits.
    pub(crate) accuracy: f64,
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    /// None when it does not exist as a number; a note says why.
    pub(crate) word_perplexity: Option<f64>,
    pub(crate) against_dense: AgainstDense<AccuracyDifference>,
}

/// All cells of one model, dataset and LAMBADA protocol.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct AccuracyTable {
    pub(crate) model: String,
    pub(crate) dataset: String,
    pub(crate) protocol: Protocol,
    pub(crate) rows: Vec<Row<Accuracy>>,
}

/// The rows of `group`, in its order.
///
/// # Errors
/// For a cell without items, which the reader of files does not let through.
pub(crate) fn rows(group: &Group<'_>) -> Result<Vec<Row<Accuracy>>, StatisticsError> {
    let rows: Result<Vec<_>, _> = group.cells.par_iter().map(|result| row(result, group)).collect();
    let mut rows = rows?;
    adjust(&mut rows)?;
    Ok(rows)
}

fn row(result: &CellResult, group: &Group<'_>) -> Result<Row<Accuracy>, StatisticsError> {
    let mut notes = group.distinguishing_notes(result);
    let items = items(result);
    let n_correct = items.iter().filter(|item| item.correct).count() as u64;
    let proportion = Proportion::new(n_correct, items.len() as u64)?;
    let interval = wilson(proportion, ConfidenceLevel::P95);
    let logprobs: Vec<f64> = items.iter().map(|item| item.word_logprob_nats).collect();
    let word_perplexity = word_perplexity(&logprobs)
        .map_err(|error| notes.push(format!("no word perplexity: {error}")))
        .ok();
    let against_dense = match baseline::find(result, group) {
        AgainstDense::Compared(dense) => AgainstDense::Compared(difference(dense, items)?),
        AgainstDense::Refused { reason } => AgainstDense::Refused { reason },
        AgainstDense::NoDense => AgainstDense::NoDense,
        AgainstDense::Baseline => AgainstDense::Baseline,
    };
    match &against_dense {
        AgainstDense::Refused { reason } => notes.push(reason.clone()),
        AgainstDense::Compared(difference) => notes.extend(what_could_be_missed(difference)),
        AgainstDense::NoDense | AgainstDense::Baseline => {}
    }
    let measured = Accuracy {
        n_correct,
        n_items: proportion.trials(),
        accuracy: interval.estimate,
        lower: interval.lower,
        upper: interval.upper,
        word_perplexity,
        against_dense,
    };
    Ok(Row::of(result, measured, notes))
}

fn difference(dense: &CellResult, ours: &[ItemRow]) -> Result<AccuracyDifference, StatisticsError> {
    let outcomes =
        |items: &[ItemRow]| -> Vec<bool> { items.iter().map(|item| item.correct).collect() };
    let counts = PairedCounts::from_outcomes(&outcomes(ours), &outcomes(items(dense)))?;
    let interval = newcombe_paired(counts, ConfidenceLevel::P95)?;
    let (this, dense_share) = (counts.first()?, counts.second()?);
    let mcnemar_p = mcnemar_exact_p(counts);
    let discordant_share = counts.discordant() as f64 / counts.items() as f64;
    Ok(AccuracyDifference {
        dense_cell_id: dense.id.clone(),
        difference: interval.estimate,
        lower: interval.lower,
        upper: interval.upper,
        only_this: counts.only_first,
        only_dense: counts.only_second,
        mcnemar_p,
        // Filled in once all rows of the table are known.
        mcnemar_p_holm: mcnemar_p,
        mcnemar_p_benjamini_hochberg: mcnemar_p,
        unpaired_z_p: pooled_z(this, dense_share).p,
        unpaired_fisher_p: fisher_exact_p(this, dense_share),
        minimum_detectable_difference: minimum_detectable_difference_paired(
            counts.items(),
            discordant_share,
            ALPHA,
            POWER,
        )?,
    })
}

/// "Not significant" never stands alone: it says how large a difference could have been missed.
fn what_could_be_missed(difference: &AccuracyDifference) -> Option<String> {
    if difference.mcnemar_p < ALPHA {
        return None;
    }
    Some(match difference.minimum_detectable_difference {
        Some(least) => {
            let least = points(least);
            format!("not significant; detectable: {} points", least.trim_start_matches('+'))
        }
        None if difference.only_this + difference.only_dense == 0 => "same answers".to_owned(),
        None => "not significant; too few discordant items to detect any difference".to_owned(),
    })
}

/// Adjusts the p-values of all compared rows as one family.
fn adjust(rows: &mut [Row<Accuracy>]) -> Result<(), StatisticsError> {
    let mut family: Vec<&mut AccuracyDifference> = rows
        .iter_mut()
        .filter_map(|row| match &mut row.measured.against_dense {
            AgainstDense::Compared(difference) => Some(difference),
            _ => None,
        })
        .collect();
    let raw: Vec<f64> = family.iter().map(|difference| difference.mcnemar_p).collect();
    let (holm, benjamini_hochberg) = (holm(&raw)?, benjamini_hochberg(&raw)?);
    for (index, difference) in family.iter_mut().enumerate() {
        difference.mcnemar_p_holm = holm[index];
        difference.mcnemar_p_benjamini_hochberg = benjamini_hochberg[index];
    }
    Ok(())
}

/// The items of a cell; a cell of windows has none.
pub(crate) fn items(result: &CellResult) -> &[ItemRow] {
    match &result.rows {
        Rows::Items(rows) => rows,
        Rows::Windows(_) => &[],
    }
}
