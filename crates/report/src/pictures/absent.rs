//! Cells that failed or are missing: where one would have stood in a picture, the place is hatched.

use plan::Cell;

use crate::summary::Summary;

/// Why a place is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    Failed,
    Missing,
}

impl Why {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Why::Failed => "failed",
            Why::Missing => "missing",
        }
    }
}

/// A cell without results.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Absent<'a> {
    pub(crate) id: &'a str,
    pub(crate) cell: &'a Cell,
    pub(crate) why: Why,
}

/// Every cell of a run without results: those that failed, then those that are missing.
pub(crate) fn absent(summary: &Summary) -> Vec<Absent<'_>> {
    let failed = summary.failed.iter().map(|failure| Absent {
        id: &failure.cell_id,
        cell: &failure.cell,
        why: Why::Failed,
    });
    let missing = summary.missing.iter().map(|missing| Absent {
        id: &missing.cell_id,
        cell: &missing.cell,
        why: Why::Missing,
    });
    failed.chain(missing).collect()
}
