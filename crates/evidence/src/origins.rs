//! Where the numbers of a run come from: which code, on which machine, when.

use std::collections::BTreeMap;

use serde::Serialize;
use tables::Provenance;

use crate::run::Run;

/// A value of a provenance column and the number of cells that carry it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// The value.
    pub value: String,
    /// Cells that carry it.
    pub n_cells: usize,
}

/// The provenance of all finished cells of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Origins {
    /// Revisions of the repository.
    pub revisions: Vec<Counted>,
    /// Versions of the computing code.
    pub code_versions: Vec<Counted>,
    /// Versions of the programs.
    pub versions: Vec<Counted>,
    /// Machines.
    pub hosts: Vec<Counted>,
    /// Processors.
    pub cpus: Vec<Counted>,
    /// When the first cell was begun, in milliseconds since 1970; none without cells.
    pub first_started_at_ms: Option<i64>,
    /// When the last one ended.
    pub last_ended_at_ms: Option<i64>,
    /// Seconds of all cells together.
    pub cell_seconds: f64,
}

impl Origins {
    /// Of the finished cells of a run.
    pub fn from_run(run: &Run) -> Self {
        let ended =
            |from: &Provenance| from.started_at_ms.saturating_add((1000.0 * from.seconds) as i64);
        Origins {
            revisions: counted(run, |from| &from.revision),
            code_versions: counted(run, |from| &from.code_version),
            versions: counted(run, |from| &from.versions),
            hosts: counted(run, |from| &from.host),
            cpus: counted(run, |from| &from.cpu),
            first_started_at_ms: run.provenances().map(|from| from.started_at_ms).min(),
            last_ended_at_ms: run.provenances().map(ended).max(),
            cell_seconds: run.provenances().map(|from| from.seconds).sum(),
        }
    }
}

/// The distinct values, the most frequent first.
pub fn counted(run: &Run, value: fn(&Provenance) -> &String) -> Vec<Counted> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for from in run.provenances() {
        *counts.entry(value(from)).or_default() += 1;
    }
    let counts = counts.into_iter();
    let mut counted: Vec<Counted> =
        counts.map(|(value, n_cells)| Counted { value: value.clone(), n_cells }).collect();
    // Stable: values with the same count stay in alphabetical order.
    counted.sort_by_key(|counted| std::cmp::Reverse(counted.n_cells));
    counted
}
