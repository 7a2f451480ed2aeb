//! One place of the table: how many items a recipe gets right, and how that stands to dense.

use evidence::absent::Why;
use evidence::{AgainstDense, CellResult};
use serde::Serialize;
use statistics::{
    ConfidenceLevel, Proportion, StatisticsError, pooled_stderr, proportion_stderr, wilson,
};
use tables::{Outcome, TaskColumns};

use super::columns::{Column, Place};
use super::difference::{TaskDifference, against_dense};

/// By what an item counts as right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The likeliest choice.
    Acc,
    /// The choice that is likeliest a character.
    AccNorm,
}

impl Metric {
    /// The one that is told of a task: `acc_norm` where the task has it.
    pub fn of(task: &TaskColumns) -> Metric {
        if task.is_normalised { Metric::AccNorm } else { Metric::Acc }
    }

    /// As lm-evaluation-harness calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Metric::Acc => "acc",
            Metric::AccNorm => "acc_norm",
        }
    }

    /// Whether an item is right by it.
    pub fn is_right(self, outcome: &Outcome) -> bool {
        match self {
            Metric::Acc => outcome.acc,
            Metric::AccNorm => outcome.acc_norm,
        }
    }
}

/// What a recipe answered on one task, and the dense cell that it may be compared with.
pub(super) struct Answers<'a> {
    pub(super) result: &'a CellResult,
    pub(super) task: &'a TaskColumns,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) dense: AgainstDense<DenseAnswers<'a>>,
}

/// What the dense model answered on the same items.
pub(super) struct DenseAnswers<'a> {
    pub(super) result: &'a CellResult,
    pub(super) outcomes: Vec<Outcome>,
}

impl Answers<'_> {
    pub(super) fn place(&self) -> Place<'_> {
        (self.result.cell.protocol, &self.result.cell.dataset)
    }

    pub(super) fn right(&self, metric: Metric) -> Vec<bool> {
        right(&self.outcomes, metric)
    }

    fn proportion(&self, metric: Metric) -> Result<Proportion, StatisticsError> {
        let n_right = self.outcomes.iter().filter(|own| metric.is_right(own)).count();
        Proportion::new(n_right as u64, self.outcomes.len() as u64)
    }
}

/// Which items are right.
pub(super) fn right(outcomes: &[Outcome], metric: Metric) -> Vec<bool> {
    outcomes.iter().map(|own| metric.is_right(own)).collect()
}

/// A share of items with the standard error that lm-evaluation-harness prints.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WithStderr {
    /// The share.
    pub value: f64,
    /// None of a single item.
    pub stderr: Option<f64>,
}

/// What a recipe gets right of a task or a group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskEntry {
    /// The task or group.
    pub task: String,
    /// The cell, or those of the members of a group.
    pub cell_ids: Vec<String>,
    /// What `value` and everything about it is.
    pub metric: Metric,
    /// Items.
    pub n_items: u64,
    /// Of these right by the metric.
    pub n_correct: u64,
    /// Their share, with Wilson's 95 % limits; of a group that over all items.
    pub value: f64,
    /// The lower limit.
    pub lower: f64,
    /// The upper limit.
    pub upper: f64,
    /// Standard error as the harness has it, of a group pooled over its members; none of a single item.
    pub stderr: Option<f64>,
    /// By the likeliest choice.
    pub acc: WithStderr,
    /// By the choice that is likeliest a character; the harness prints it where the task has it.
    pub acc_norm: WithStderr,
    /// How it stands to dense.
    pub against_dense: AgainstDense<TaskDifference>,
}

impl TaskEntry {
    /// The comparison with dense, where there is one.
    pub fn difference(&self) -> Option<&TaskDifference> {
        self.against_dense.compared()
    }
}

/// What stands in one place of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum TaskSlot {
    /// It was run.
    Measured(Box<TaskEntry>),
    /// It was ordered and has no results.
    Absent {
        /// The cell.
        cell_id: String,
        /// Whether it failed.
        why: Why,
    },
    /// Nobody asked for it.
    NotOrdered,
}

impl TaskSlot {
    /// What was measured there.
    pub fn entry(&self) -> Option<&TaskEntry> {
        match self {
            TaskSlot::Measured(entry) => Some(entry),
            TaskSlot::Absent { .. } | TaskSlot::NotOrdered => None,
        }
    }

    /// Why nothing was, where it should have been.
    pub fn why(&self) -> Option<Why> {
        match self {
            TaskSlot::Absent { why, .. } => Some(*why),
            TaskSlot::Measured(_) | TaskSlot::NotOrdered => None,
        }
    }

    pub(super) fn difference_mut(&mut self) -> Option<&mut TaskDifference> {
        match self {
            TaskSlot::Measured(entry) => match &mut entry.against_dense {
                AgainstDense::Compared(difference) => Some(difference),
                _ => None,
            },
            TaskSlot::Absent { .. } | TaskSlot::NotOrdered => None,
        }
    }
}

/// The place of a column whose answers are these, one a task of it.
pub(super) fn entry(
    column: &Column<'_>,
    own: &[&Answers<'_>],
    margin: f64,
) -> Result<TaskEntry, StatisticsError> {
    let metric = match own {
        [only] => Metric::of(only.task),
        _ => column.task.metric,
    };
    let told = shares(own, metric)?;
    let interval = wilson(whole(&told)?, ConfidenceLevel::P95);
    let with_stderr = |metric: Metric| -> Result<WithStderr, StatisticsError> {
        let parts = shares(own, metric)?;
        Ok(WithStderr { value: whole(&parts)?.value(), stderr: stderr(&parts) })
    };
    Ok(TaskEntry {
        task: column.task.name.clone(),
        cell_ids: own.iter().map(|own| own.result.id.clone()).collect(),
        metric,
        n_items: whole(&told)?.trials(),
        n_correct: whole(&told)?.successes(),
        value: interval.estimate,
        lower: interval.lower,
        upper: interval.upper,
        stderr: stderr(&told),
        acc: with_stderr(Metric::Acc)?,
        acc_norm: with_stderr(Metric::AccNorm)?,
        against_dense: against_dense(column, own, metric, margin)?,
    })
}

fn shares(own: &[&Answers<'_>], metric: Metric) -> Result<Vec<Proportion>, StatisticsError> {
    own.iter().map(|own| own.proportion(metric)).collect()
}

/// All items of the members together: the mean of members weighted by their sizes.
fn whole(parts: &[Proportion]) -> Result<Proportion, StatisticsError> {
    let successes = parts.iter().map(|own| own.successes()).sum();
    Proportion::new(successes, parts.iter().map(|own| own.trials()).sum())
}

fn stderr(parts: &[Proportion]) -> Option<f64> {
    match parts {
        [only] => proportion_stderr(*only),
        several => pooled_stderr(several),
    }
}
