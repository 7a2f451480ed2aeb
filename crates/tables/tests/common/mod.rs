//! What several tests of the store write.

use tables::{CellRecord, FailureRecord};

/// A failure of a cell, with everything that a failure says.
pub(crate) fn failure(record: &CellRecord) -> FailureRecord {
    FailureRecord {
        id: record.id.clone(),
        cell: record.cell.clone(),
        error: "layer 3: not a number".into(),
        revision: "abc".into(),
        code_version: "v".into(),
        host: "here".into(),
        started_at_ms: 1,
        seconds: 0.5,
    }
}
