//! Cells that failed or are missing, and why.

use std::collections::BTreeSet;

use plan::Cell;
use serde::Serialize;

use crate::run::Run;
use crate::table_file::Failure;

/// A cell that was ordered and has neither results nor a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Its id.
    pub cell_id: String,
    /// What it is called.
    pub label: String,
    /// The cell.
    pub cell: Cell,
    /// Why it is missing.
    pub reason: String,
}

/// Ordered cells without results and without a failure, in the order's order.
pub fn missing(run: &Run) -> Vec<Missing> {
    let known: BTreeSet<&str> =
        run.done().chain(run.failures.iter().map(|failure| failure.cell_id.as_str())).collect();
    let damaged = |id: &str| {
        let name = format!("{id}.parquet");
        run.unreadable.iter().any(|file| file.file.ends_with(&name))
    };
    let ordered = run.order.iter().flat_map(|order| &order.cells);
    ordered
        .filter(|ordered| !known.contains(ordered.id.as_str()))
        .map(|ordered| Missing {
            cell_id: ordered.id.clone(),
            label: ordered.cell.label(),
            cell: ordered.cell.clone(),
            reason: if damaged(&ordered.id) { "its file is unreadable" } else { "not run yet" }
                .to_owned(),
        })
        .collect()
}

/// Why a place is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The cell was run and gave an error.
    Failed,
    /// The cell was ordered and was not run.
    Missing,
}

impl Why {
    /// `failed`, `missing`
    pub fn as_str(self) -> &'static str {
        match self {
            Why::Failed => "failed",
            Why::Missing => "missing",
        }
    }
}

/// A cell without results.
#[derive(Debug, Clone, Copy)]
pub struct Absent<'a> {
    /// Its id.
    pub id: &'a str,
    /// The cell.
    pub cell: &'a Cell,
    /// Why it has none.
    pub why: Why,
}

/// Every cell without results: those that failed, then those that are missing.
pub fn absent<'a>(failed: &'a [Failure], missing: &'a [Missing]) -> Vec<Absent<'a>> {
    let failed = failed.iter().map(|failure| Absent {
        id: &failure.cell_id,
        cell: &failure.cell,
        why: Why::Failed,
    });
    let missing = missing.iter().map(|missing| Absent {
        id: &missing.cell_id,
        cell: &missing.cell,
        why: Why::Missing,
    });
    failed.chain(missing).collect()
}
