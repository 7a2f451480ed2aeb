//! A recipe against dense on the items of a task: the difference, its tests, and what they could have
//! missed.

use evidence::AgainstDense;
use serde::Serialize;
use statistics::{
    ConfidenceLevel, Margins, PairedCounts, StatisticsError, equivalence_paired, holm,
    mcnemar_exact_p, minimum_detectable_difference_paired,
};

use super::columns::Column;
use super::entry::{Answers, DenseAnswers, Metric, TaskSlot, right};
use crate::accuracy::{ALPHA, POWER};

/// What is known of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskVerdict {
    /// Its 95 % interval lies within the margin on both sides: less than the margin was lost or won.
    Equivalent,
    /// It may exceed the margin, and it is none that chance makes: significant after Holm's adjustment.
    Differs,
    /// Neither.
    Open,
}

impl TaskVerdict {
    pub(super) fn of(margins: Margins, is_significant: bool) -> TaskVerdict {
        match margins {
            Margins::Within => TaskVerdict::Equivalent,
            Margins::Beyond | Margins::Across if is_significant => TaskVerdict::Differs,
            Margins::Beyond | Margins::Across => TaskVerdict::Open,
        }
    }
}

/// A recipe's share of right items minus that of dense, on the same items.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskDifference {
    /// The dense cell, or those of the members of a group.
    pub dense_cell_ids: Vec<String>,
    /// The difference with Newcombe's 95 % limits.
    pub difference: f64,
    /// The lower limit.
    pub lower: f64,
    /// The upper limit.
    pub upper: f64,
    /// Items that only the recipe gets right.
    pub only_this: u64,
    /// Items that only dense gets right.
    pub only_dense: u64,
    /// Exact McNemar p-value.
    pub mcnemar_p: f64,
    /// The same, adjusted by Holm over all compared places of the model's table.
    pub mcnemar_p_holm: f64,
    /// p-value of the two one-sided tests against the margin (Newcombe's interval, inverted).
    pub equivalence_p: f64,
    /// What interval and test come to.
    pub verdict: TaskVerdict,
    /// Smallest true difference found with 80 % power at this share of discordant items; none where none
    /// would be found.
    pub minimum_detectable_difference: Option<f64>,
    #[serde(skip)]
    margins: Margins,
}

/// How a column stands to dense. Of a group all members have to be compared: a mean over other members is
/// another quantity.
pub(super) fn against_dense(
    column: &Column<'_>,
    own: &[&Answers<'_>],
    metric: Metric,
    margin: f64,
) -> Result<AgainstDense<TaskDifference>, StatisticsError> {
    if let Some(found) = not_compared(column, own) {
        return Ok(found);
    }
    let pairs = own.iter().filter_map(|own| Some((*own, own.dense.compared()?)));
    let pairs: Vec<(&Answers<'_>, &DenseAnswers<'_>)> = pairs.collect();
    let mut counts = PairedCounts { both: 0, only_first: 0, only_second: 0, neither: 0 };
    for (own, dense) in &pairs {
        let part =
            PairedCounts::from_outcomes(&own.right(metric), &right(&dense.outcomes, metric))?;
        counts.both += part.both;
        counts.only_first += part.only_first;
        counts.only_second += part.only_second;
        counts.neither += part.neither;
    }
    let ids = pairs.iter().map(|(_, dense)| dense.result.id.clone()).collect();
    Ok(AgainstDense::Compared(difference(counts, margin, ids)?))
}

/// What stands in the place of a comparison where there is none.
fn not_compared(column: &Column<'_>, own: &[&Answers<'_>]) -> Option<AgainstDense<TaskDifference>> {
    let is_group = column.places.len() > 1;
    if own.iter().all(|own| matches!(own.dense, AgainstDense::Baseline)) {
        return Some(AgainstDense::Baseline);
    }
    if own.iter().all(|own| matches!(own.dense, AgainstDense::NoDense)) {
        return Some(AgainstDense::NoDense);
    }
    let refused = |reason: String| Some(AgainstDense::Refused { reason });
    for (place, name) in &column.places {
        let Some(answers) = own.iter().find(|own| own.place() == *place) else {
            return refused(format!("not compared: {name} is not there"));
        };
        match &answers.dense {
            AgainstDense::Refused { reason } if is_group => {
                return refused(format!("{name} {reason}"));
            }
            AgainstDense::Refused { reason } => return refused(reason.clone()),
            AgainstDense::NoDense | AgainstDense::Baseline => {
                return refused(format!("not compared: there is no dense cell of {name}"));
            }
            AgainstDense::Compared(_) => {}
        }
    }
    None
}

fn difference(
    counts: PairedCounts,
    margin: f64,
    dense_cell_ids: Vec<String>,
) -> Result<TaskDifference, StatisticsError> {
    let found = equivalence_paired(counts, margin, ConfidenceLevel::P95)?;
    let mcnemar_p = mcnemar_exact_p(counts);
    let discordant = counts.discordant() as f64 / counts.items() as f64;
    let detectable =
        minimum_detectable_difference_paired(counts.items(), discordant, ALPHA, POWER)?;
    Ok(TaskDifference {
        dense_cell_ids,
        difference: found.interval.estimate,
        lower: found.interval.lower,
        upper: found.interval.upper,
        only_this: counts.only_first,
        only_dense: counts.only_second,
        mcnemar_p,
        // Filled in once all places of the table are known, and with it the verdict.
        mcnemar_p_holm: mcnemar_p,
        equivalence_p: found.p,
        verdict: TaskVerdict::of(found.margins, false),
        minimum_detectable_difference: detectable,
        margins: found.margins,
    })
}

/// Adjusts the p-values of all compared places as one family; the value is how many they are.
pub(super) fn adjust<'a>(
    slots: impl Iterator<Item = &'a mut TaskSlot>,
) -> Result<usize, StatisticsError> {
    let mut family: Vec<&mut TaskDifference> = slots.filter_map(TaskSlot::difference_mut).collect();
    let raw: Vec<f64> = family.iter().map(|own| own.mcnemar_p).collect();
    for (own, adjusted) in family.iter_mut().zip(holm(&raw)?) {
        own.mcnemar_p_holm = adjusted;
        own.verdict = TaskVerdict::of(own.margins, adjusted < ALPHA);
    }
    Ok(raw.len())
}
