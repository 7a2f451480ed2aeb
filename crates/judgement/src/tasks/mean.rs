//! The mean over tasks: each counts once, a group as one; its interval is about other items of the same
//! tasks.

use evidence::AgainstDense;
use serde::Serialize;
use statistics::{Interval, Margins, StatisticsError, Stratum, stratified_mean_interval};

use super::columns::Column;
use super::difference::TaskVerdict;
use super::entry::{Answers, TaskSlot, right};
use crate::perplexity::BOOTSTRAP;

/// The mean over tasks of the share of right items.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskMean {
    /// Tasks and groups that it is over.
    pub n_tasks: usize,
    /// The mean.
    pub value: f64,
    /// Limits of the 95 % interval (bootstrap over items within tasks); none where a task has one item.
    pub lower: Option<f64>,
    /// The upper limit.
    pub upper: Option<f64>,
}

/// A mean minus that of dense over the same tasks and items.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeanDifference {
    /// Tasks and groups that both have and that were compared.
    pub n_tasks: usize,
    /// The recipe's mean over these.
    pub value: f64,
    /// That of dense.
    pub dense: f64,
    /// The first less the second.
    pub difference: f64,
    /// Limits of the 95 % interval (the same draws for both); none where a task has one item.
    pub lower: Option<f64>,
    /// The upper limit.
    pub upper: Option<f64>,
    /// Equivalent where the interval lies within the margin, different where it leaves out 0.
    pub verdict: TaskVerdict,
}

/// The mean over what was run; nothing where nothing was.
pub(super) fn of(
    columns: &[Column<'_>],
    slots: &[TaskSlot],
    answers: &[Answers<'_>],
) -> Result<Option<TaskMean>, StatisticsError> {
    let mut strata = Vec::new();
    let mut values = Vec::new();
    for (column, slot) in columns.iter().zip(slots) {
        let Some(entry) = slot.entry() else { continue };
        values.push(entry.value);
        for own in column.answers(answers) {
            let items = own.right(entry.metric);
            let weight = items.len() as f64 / entry.n_items as f64;
            strata.push(Stratum { weight, values: as_numbers(&items) });
        }
    }
    let Some(value) = mean(&values) else { return Ok(None) };
    let (lower, upper) = limits(interval(&strata)?);
    Ok(Some(TaskMean { n_tasks: values.len(), value, lower, upper }))
}

/// The same against dense, over the tasks that were compared.
pub(super) fn against_dense(
    columns: &[Column<'_>],
    slots: &[TaskSlot],
    answers: &[Answers<'_>],
    is_dense: bool,
    margin: f64,
) -> Result<AgainstDense<MeanDifference>, StatisticsError> {
    if is_dense {
        return Ok(AgainstDense::Baseline);
    }
    let (mut strata, mut values, mut differences) = (Vec::new(), Vec::new(), Vec::new());
    for (column, slot) in columns.iter().zip(slots) {
        let Some(entry) = slot.entry() else { continue };
        let Some(difference) = entry.difference() else { continue };
        values.push(entry.value);
        differences.push(difference.difference);
        for own in column.answers(answers) {
            let Some(dense) = own.dense.compared() else { continue };
            let items = own.right(entry.metric);
            let (ours, theirs) =
                (as_numbers(&items), as_numbers(&right(&dense.outcomes, entry.metric)));
            let weight = items.len() as f64 / entry.n_items as f64;
            strata.push(Stratum::of_differences(weight, &ours, &theirs)?);
        }
    }
    let (Some(value), Some(difference)) = (mean(&values), mean(&differences)) else {
        let all = slots.iter().filter_map(TaskSlot::entry).map(|entry| &entry.against_dense);
        let is_refused = all.into_iter().any(AgainstDense::is_refused);
        let reason = || "no task was compared with dense".to_owned();
        return Ok(match is_refused {
            true => AgainstDense::Refused { reason: reason() },
            false => AgainstDense::NoDense,
        });
    };
    let (lower, upper) = limits(interval(&strata)?);
    Ok(AgainstDense::Compared(MeanDifference {
        n_tasks: values.len(),
        value,
        dense: value - difference,
        difference,
        lower,
        upper,
        verdict: verdict(lower.zip(upper), margin),
    }))
}

fn verdict(limits: Option<(f64, f64)>, margin: f64) -> TaskVerdict {
    let Some((lower, upper)) = limits else { return TaskVerdict::Open };
    let is_within = -margin < lower && upper < margin;
    let margins = if is_within { Margins::Within } else { Margins::Across };
    TaskVerdict::of(margins, lower > 0.0 || upper < 0.0)
}

fn as_numbers(right: &[bool]) -> Vec<f64> {
    right.iter().map(|&own| f64::from(u8::from(own))).collect()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// None where a task has too few items to be drawn from.
fn interval(strata: &[Stratum]) -> Result<Option<Interval>, StatisticsError> {
    match stratified_mean_interval(strata, BOOTSTRAP) {
        Ok(interval) => Ok(Some(interval)),
        Err(StatisticsError::TooFew { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn limits(interval: Option<Interval>) -> (Option<f64>, Option<f64>) {
    (interval.map(|own| own.lower), interval.map(|own| own.upper))
}
