//! How many cells of a run are where.

use std::collections::BTreeSet;

use evidence::Run;
use serde::Serialize;

use crate::accuracy::AccuracyTable;
use crate::perplexity::PerplexityTable;
use crate::tasks::{TaskSlot, TaskTable};

/// How many cells of the last work order are where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Cells of the last work order; none where it is unknown.
    pub n_ordered: Option<usize>,
    /// Of these with results.
    pub n_done: usize,
    /// Of these with an error.
    pub n_failed: usize,
    /// Of these with neither.
    pub n_missing: usize,
    /// Finished cells that the last work order neither names nor stores on its way.
    pub n_done_before: usize,
    /// Failed cells that it does not name.
    pub n_failed_before: usize,
    /// Files that cannot be used.
    pub n_unreadable_files: usize,
    /// Finished cells that may not be compared with any dense one; their rows say why.
    pub n_refused: usize,
}

/// Rows of which a comparison with dense was refused.
pub(crate) fn n_refused(
    perplexity: &[PerplexityTable],
    accuracy: &[AccuracyTable],
    tasks: &[TaskTable],
) -> usize {
    let perplexity = perplexity.iter().flat_map(|table| &table.rows);
    let accuracy = accuracy.iter().flat_map(|table| &table.rows);
    perplexity.filter(|row| row.measured.against_dense.is_refused()).count()
        + accuracy.filter(|row| row.measured.against_dense.is_refused()).count()
        + tasks.iter().map(n_refused_of_tasks).sum::<usize>()
}

/// Cells of tasks; what a group refuses its members refused already.
fn n_refused_of_tasks(table: &TaskTable) -> usize {
    let is_single = table.tasks.iter().map(|task| task.members.is_empty());
    let is_single: Vec<bool> = is_single.collect();
    let refused = |slot: &TaskSlot| slot.entry().is_some_and(|own| own.against_dense.is_refused());
    let of_row = |row: &crate::tasks::TaskRow| {
        let single = row.entries.iter().zip(&is_single).filter(|(_, is_single)| **is_single);
        single.filter(|(slot, _)| refused(slot)).count()
            + row.parts.iter().filter(|slot| refused(slot)).count()
    };
    table.rows.iter().map(of_row).sum()
}

/// Counts the cells of a run.
pub(crate) fn count_cells(run: &Run, n_missing: usize, n_refused: usize) -> Counts {
    let ordered: Option<BTreeSet<&str>> = run
        .order
        .as_ref()
        .map(|order| order.cells.iter().map(|ordered| ordered.id.as_str()).collect());
    let in_order = |id: &str| ordered.as_ref().is_none_or(|ordered| ordered.contains(id));
    let is_before = |id: &str| !in_order(id) && !run.by_products.contains(id);
    let n_done = run.done().filter(|id| in_order(id)).count();
    let n_failed = run.failures.iter().filter(|failure| in_order(&failure.cell_id)).count();
    Counts {
        n_ordered: ordered.as_ref().map(BTreeSet::len),
        n_done,
        n_failed,
        n_missing,
        n_done_before: run.done().filter(|id| is_before(id)).count(),
        n_failed_before: run.failures.len() - n_failed,
        n_unreadable_files: run.unreadable.len(),
        n_refused,
    }
}
