//! The LAMBADA table of one (model, dataset, protocol).

use evidence::{AgainstDense, CellResult, Group, Key, Paired, Row, dense_of};
use rayon::prelude::*;
use serde::Serialize;
use statistics::{
    ConfidenceLevel, PairedCounts, Proportion, StatisticsError, benjamini_hochberg, fisher_exact_p,
    holm, mcnemar_exact_p, minimum_detectable_difference_paired, newcombe_paired, pooled_z, wilson,
    word_perplexity,
};
use tables::ItemRow;

use crate::remark::{Remark, Remarked};
use crate::table::Table;

/// Level below which a p-value is called significant in a note.
pub const ALPHA: f64 = 0.05;
/// Chance of finding the minimum detectable difference.
pub const POWER: f64 = 0.8;

/// A cell's accuracy minus its dense baseline's, on the same items.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccuracyDifference {
    /// The dense cell.
    pub dense_cell_id: String,
    /// This cell's accuracy minus the dense one's, with Newcombe's 95 % limits.
    pub difference: f64,
    /// The lower limit.
    pub lower: f64,
    /// The upper limit.
    pub upper: f64,
    /// Items that only this cell gets right.
    pub only_this: u64,
    /// Items that only the dense cell gets right.
    pub only_dense: u64,
    /// Exact McNemar p-value.
    pub mcnemar_p: f64,
    /// The same, adjusted by Holm over the rows of this table.
    pub mcnemar_p_holm: f64,
    /// The same, adjusted by Benjamini and Hochberg.
    pub mcnemar_p_benjamini_hochberg: f64,
    /// As if the items were different ones: the kind of p-value that was published.
    pub unpaired_z_p: f64,
    /// The same by Fisher's exact test.
    pub unpaired_fisher_p: f64,
    /// Smallest true difference found with 80 % power at this share of discordant items; none
    /// where none would be found.
    pub minimum_detectable_difference: Option<f64>,
}

/// What a LAMBADA protocol measures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Accuracy {
    /// Correct items.
    pub n_correct: u64,
    /// All items.
    pub n_items: u64,
    /// Share of correct items with Wilson's 95 % limits.
    pub accuracy: f64,
    /// The lower limit.
    pub lower: f64,
    /// The upper limit.
    pub upper: f64,
    /// None when it does not exist as a number; a remark says why.
    pub word_perplexity: Option<f64>,
    /// How it stands to dense.
    pub against_dense: AgainstDense<AccuracyDifference>,
    /// What a reader has to know.
    #[serde(skip)]
    pub remarks: Vec<Remark>,
}

impl Paired for Accuracy {
    fn dense_cell_id(&self) -> Option<&str> {
        Some(&self.difference()?.dense_cell_id)
    }
}

impl Remarked for Accuracy {
    fn remarks(&self) -> &[Remark] {
        &self.remarks
    }
}

impl Accuracy {
    /// The comparison with dense, where there is one.
    pub fn difference(&self) -> Option<&AccuracyDifference> {
        self.against_dense.compared()
    }
}

/// All cells of one model, dataset and LAMBADA protocol.
pub type AccuracyTable = Table<Accuracy>;

/// The rows of `group`, in its order.
///
/// # Errors
/// For a cell without items, which the reader of files does not let through.
pub fn rows(group: &Group<'_>) -> Result<Vec<Row<Accuracy>>, StatisticsError> {
    let rows: Result<Vec<_>, _> = group.cells.par_iter().map(|cell| row(*cell, group)).collect();
    let mut rows = rows?;
    adjust(&mut rows)?;
    Ok(rows)
}

fn row(
    (key, result): (Key, &CellResult),
    group: &Group<'_>,
) -> Result<Row<Accuracy>, StatisticsError> {
    let mut remarks = Vec::new();
    let items = result.items();
    let n_correct = items.iter().filter(|item| item.correct).count() as u64;
    let proportion = Proportion::new(n_correct, items.len() as u64)?;
    let interval = wilson(proportion, ConfidenceLevel::P95);
    let logprobs: Vec<f64> = items.iter().map(|item| item.word_logprob_nats).collect();
    let word_perplexity = word_perplexity(&logprobs)
        .map_err(|error| remarks.push(Remark::NoWordPerplexity(error.to_string())))
        .ok();
    let against_dense = dense_of((key, result), group).try_map(|dense| difference(dense, items))?;
    match &against_dense {
        AgainstDense::Refused { reason } => remarks.push(Remark::Refused(reason.clone())),
        AgainstDense::Compared(difference) => remarks.extend(what_could_be_missed(difference)),
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
        remarks,
    };
    Ok(Row::from_cell((key, result), group, measured))
}

fn difference(dense: &CellResult, ours: &[ItemRow]) -> Result<AccuracyDifference, StatisticsError> {
    let outcomes =
        |items: &[ItemRow]| -> Vec<bool> { items.iter().map(|item| item.correct).collect() };
    let counts = PairedCounts::from_outcomes(&outcomes(ours), &outcomes(dense.items()))?;
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

/// What is to be said of a difference that is not significant.
fn what_could_be_missed(difference: &AccuracyDifference) -> Option<Remark> {
    if difference.mcnemar_p < ALPHA {
        return None;
    }
    let n_discordant = difference.only_this + difference.only_dense;
    Some(match difference.minimum_detectable_difference {
        None if n_discordant == 0 => Remark::SameAnswers,
        detectable => Remark::NotSignificant { detectable },
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
