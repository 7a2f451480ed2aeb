//! Downstream tasks: every recipe of a model on every multiple-choice task, in one table.
//!
//! A column is a task (a protocol on a text) or a group of tasks such as `mmlu`, whose number is that over
//! all items of its members; a row is a recipe. Each place has the accuracy with its interval, and how it
//! stands to the dense model on the same items. The mean over the columns counts each once.

mod columns;
mod difference;
mod entry;
mod mean;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use evidence::absent::{Missing, absent};
use evidence::{AgainstDense, Run};
use plan::{Measure, Step};
use rayon::prelude::*;
use serde::Serialize;
use statistics::StatisticsError;

use self::columns::{Cells, Column};
use self::difference::adjust;
use self::entry::Answers;

pub use self::columns::{Task, at_chance};
pub use self::difference::{TaskDifference, TaskVerdict};
pub use self::entry::{Metric, TaskEntry, TaskSlot, WithStderr};
pub use self::mean::{MeanDifference, TaskMean};

/// Two recipes are equally good at a task where they are sure to differ by less than this share of items.
pub const DEFAULT_MARGIN: f64 = 0.02;

/// What one recipe does to all tasks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskRow {
    /// The steps as one text.
    pub recipe: String,
    /// The same in short.
    pub label: String,
    /// A place a task of the table.
    pub entries: Vec<TaskSlot>,
    /// A place a member of a group.
    pub parts: Vec<TaskSlot>,
    /// The mean over the tasks that were run; none where none was.
    pub mean: Option<TaskMean>,
    /// The same against dense, over the tasks that were compared.
    pub mean_against_dense: AgainstDense<MeanDifference>,
    #[serde(skip)]
    steps: Vec<Step>,
}

impl TaskRow {
    /// Whether nothing is done to the model.
    pub fn is_dense(&self) -> bool {
        self.steps.is_empty()
    }
}

/// All recipes of a model on all of its tasks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskTable {
    /// The model.
    pub model: String,
    /// What counts as no difference, a share of items.
    pub margin: f64,
    /// The columns: tasks that are in no group, then groups.
    pub tasks: Vec<Task>,
    /// The members of groups.
    pub parts: Vec<Task>,
    /// Dense first, then by steps.
    pub rows: Vec<TaskRow>,
    /// Comparisons that [`TaskDifference::mcnemar_p_holm`] of the columns is adjusted over.
    pub n_tests: usize,
    /// The same of the members of groups, which are a family of their own: their items are those of the
    /// group once more, and one group has as many members as all other tasks together.
    pub n_tests_of_parts: usize,
}

impl TaskTable {
    /// The dense row, where dense was run.
    pub fn dense(&self) -> Option<&TaskRow> {
        self.rows.iter().find(|row| row.is_dense())
    }

    /// The rows whose mean was compared with dense over as many tasks as any row's, those with most items
    /// right first. Means over fewer tasks are no rank among these.
    pub fn compared(&self) -> Vec<(&TaskRow, &MeanDifference)> {
        let with_mean = |row| -> Option<(&TaskRow, &MeanDifference)> {
            let row: &TaskRow = row;
            Some((row, row.mean_against_dense.compared()?))
        };
        let mut rows: Vec<_> = self.rows.iter().filter_map(with_mean).collect();
        let most = rows.iter().map(|(_, own)| own.n_tasks).max();
        rows.retain(|(_, own)| Some(own.n_tasks) == most);
        // Stable: of equals the earlier recipe.
        rows.sort_by(|a, b| b.1.difference.total_cmp(&a.1.difference));
        rows
    }

    /// How many compared places of the columns have each verdict.
    pub fn n_with(&self, verdict: TaskVerdict) -> usize {
        let entries = self.rows.iter().flat_map(|row| &row.entries).filter_map(TaskSlot::entry);
        entries.filter_map(TaskEntry::difference).filter(|own| own.verdict == verdict).count()
    }
}

/// The table of every model that has cells of choices; with its name where there is none, and the error.
pub(crate) fn tables(
    run: &Run,
    missing: &[Missing],
    margin: f64,
) -> Vec<Result<TaskTable, (String, StatisticsError)>> {
    let is_choice = |cell: &plan::Cell| cell.protocol.measure() == Measure::Choice;
    let results: Vec<_> = run.results.iter().filter(|own| is_choice(&own.cell)).collect();
    let absent: Vec<_> = absent(&run.failures, missing);
    let models: BTreeSet<&str> = results.iter().map(|own| own.cell.model.as_str()).collect();
    let of_model = |model: &str| {
        let cells = Cells::of(model, &results, &absent);
        table(&cells, margin).map_err(|error| (model.to_owned(), error))
    };
    models.into_iter().map(of_model).collect()
}

fn table(cells: &Cells<'_>, margin: f64) -> Result<TaskTable, StatisticsError> {
    let (columns, parts) = cells.columns()?;
    let recipes: Vec<_> = cells.recipes().collect();
    let rows = recipes.into_par_iter().map(|recipe| {
        let answers = cells.answers(recipe);
        let slots = |columns: &[Column<'_>]| -> Result<Vec<TaskSlot>, StatisticsError> {
            columns.iter().map(|own| slot(own, cells, recipe.steps(), &answers, margin)).collect()
        };
        let entries = slots(&columns)?;
        Ok(TaskRow {
            recipe: recipe.text(),
            label: recipe.label(),
            mean: mean::of(&columns, &entries, &answers)?,
            mean_against_dense: mean::against_dense(
                &columns,
                &entries,
                &answers,
                recipe.is_dense(),
                margin,
            )?,
            parts: slots(&parts)?,
            entries,
            steps: recipe.steps().to_vec(),
        })
    });
    let mut rows = rows.collect::<Result<Vec<TaskRow>, StatisticsError>>()?;
    let n_tests = adjust(rows.iter_mut().flat_map(|row| &mut row.entries))?;
    let n_tests_of_parts = adjust(rows.iter_mut().flat_map(|row| &mut row.parts))?;
    let tasks = |columns: Vec<Column<'_>>| columns.into_iter().map(|own| own.task).collect();
    Ok(TaskTable {
        model: cells.model.to_owned(),
        margin,
        tasks: tasks(columns),
        parts: tasks(parts),
        rows,
        n_tests,
        n_tests_of_parts,
    })
}

/// What a recipe has of a column.
fn slot(
    column: &Column<'_>,
    cells: &Cells<'_>,
    steps: &[Step],
    answers: &[Answers<'_>],
    margin: f64,
) -> Result<TaskSlot, StatisticsError> {
    let own = column.answers(answers);
    if own.is_empty() {
        return Ok(cells.absent(column, steps));
    }
    Ok(TaskSlot::Measured(Box::new(entry::entry(column, &own, margin)?)))
}
