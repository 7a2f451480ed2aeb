//! Where the numbers of a run come from: which code, on which machine, when.

use std::collections::BTreeMap;

use serde::Serialize;
use tables::Provenance;

use crate::run::Run;

/// A value of a provenance column and the number of cells that carry it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Counted {
    pub(crate) value: String,
    pub(crate) n_cells: usize,
}

/// The provenance of all finished cells of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Origins {
    pub(crate) revisions: Vec<Counted>,
    pub(crate) code_versions: Vec<Counted>,
    pub(crate) versions: Vec<Counted>,
    pub(crate) hosts: Vec<Counted>,
    pub(crate) cpus: Vec<Counted>,
    /// When the first cell was begun and the last one ended; none without cells.
    pub(crate) first_started_at_ms: Option<i64>,
    pub(crate) last_ended_at_ms: Option<i64>,
    /// Seconds of all cells together.
    pub(crate) cell_seconds: f64,
}

impl Origins {
    pub(crate) fn of(run: &Run) -> Self {
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
pub(crate) fn counted(run: &Run, value: fn(&Provenance) -> &String) -> Vec<Counted> {
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
