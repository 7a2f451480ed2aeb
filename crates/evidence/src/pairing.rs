//! Which cell of one run is which of another: the same model, text, protocol, limit, calibration and
//! treatment, by name.

use std::collections::BTreeMap;

use plan::Cell;
use serde::Serialize;
use tables::Provenance;

use crate::observed::Observed;
use crate::run::Run;
use crate::table_file::CellResult;

/// A value of each of two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Both<T> {
    /// Of the run that is read against.
    pub a: T,
    /// Of the run that is read.
    pub b: T,
}

/// A cell as a text that is equal for equal cells.
fn key(cell: &Cell) -> String {
    // A cell is made of names and numbers; their JSON cannot fail.
    serde_json::to_string(cell).unwrap_or_default()
}

/// A finished cell of either kind.
#[derive(Debug, Clone, Copy)]
pub enum Finished<'a> {
    /// One that measured losses or answers.
    Losses(&'a CellResult),
    /// One that observed.
    Scores(&'a Observed),
}

impl<'a> Finished<'a> {
    fn id(self) -> &'a str {
        match self {
            Finished::Losses(result) => &result.id,
            Finished::Scores(observed) => &observed.id,
        }
    }

    fn cell(self) -> &'a Cell {
        match self {
            Finished::Losses(result) => &result.cell,
            Finished::Scores(observed) => &observed.cell,
        }
    }

    fn provenance(self) -> &'a Provenance {
        match self {
            Finished::Losses(result) => &result.provenance,
            Finished::Scores(observed) => &observed.provenance,
        }
    }
}

/// One cell of both runs.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// In the run that is read against.
    pub a: Finished<'a>,
    /// In the run that is read.
    pub b: Finished<'a>,
}

impl<'a> Pair<'a> {
    /// The cell, which is the same in both.
    pub fn cell(&self) -> &'a Cell {
        self.a.cell()
    }

    /// The cell's ids, which hold the code's version.
    pub fn ids(&self) -> Both<String> {
        Both { a: self.a.id().to_owned(), b: self.b.id().to_owned() }
    }

    /// Where the numbers of A come from.
    pub fn provenance_a(&self) -> &'a Provenance {
        self.a.provenance()
    }

    /// Where the numbers of B come from.
    pub fn provenance_b(&self) -> &'a Provenance {
        self.b.provenance()
    }
}

/// A cell that one run measured and the other did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Only {
    /// Its id.
    pub cell_id: String,
    /// What it is called.
    pub label: String,
    /// What the other run says of it.
    pub other: String,
}

/// The finished cells of a run by what they measure.
pub struct Side<'a> {
    run: &'a Run,
    finished: BTreeMap<String, Finished<'a>>,
    /// Finished cells that measured the same as a newer one: of older code or other inputs.
    pub n_older: usize,
    /// Ids that the order gives a cell.
    ordered: BTreeMap<String, &'a str>,
}

impl<'a> Side<'a> {
    /// Of cells that measured the same the newest stands; of equals the one with the lowest id.
    pub fn from_run(run: &'a Run) -> Self {
        let results = run.results.iter().map(Finished::Losses);
        let all = results.chain(run.observed.iter().map(Finished::Scores));
        let mut finished: BTreeMap<String, Finished<'a>> = BTreeMap::new();
        let mut n_older = 0;
        for cell in all {
            let started = |cell: Finished<'_>| cell.provenance().started_at_ms;
            let known = finished.entry(key(cell.cell())).or_insert(cell);
            if known.id() == cell.id() {
                continue;
            }
            n_older += 1;
            if (started(cell), known.id()) > (started(*known), cell.id()) {
                *known = cell;
            }
        }
        let ordered = run.order.iter().flat_map(|order| &order.cells);
        let ordered = ordered.map(|ordered| (key(&ordered.cell), ordered.id.as_str())).collect();
        Side { run, finished, n_older, ordered }
    }

    /// Finished cells by what they measure.
    pub fn n_cells(&self) -> usize {
        self.finished.len()
    }

    /// Cells that this run measured and `other` did not, by label.
    pub fn only(&self, other: &Side<'_>) -> Vec<Only> {
        let mine = self.finished.iter().filter(|(key, _)| !other.finished.contains_key(*key));
        let mut only: Vec<Only> = mine
            .map(|(key, cell)| Only {
                cell_id: cell.id().to_owned(),
                label: cell.cell().label(),
                other: other.says_of(key),
            })
            .collect();
        only.sort_by(|a, b| (&a.label, &a.cell_id).cmp(&(&b.label, &b.cell_id)));
        only
    }

    /// Why a cell is not among the finished ones.
    fn says_of(&self, key: &str) -> String {
        let Some(&id) = self.ordered.get(key) else {
            let unknown = if self.run.order.is_some() { "not ordered" } else { "no order.json" };
            return unknown.to_owned();
        };
        let failure = self.run.failures.iter().find(|failure| failure.cell_id == id);
        let name = format!("{id}.parquet");
        let damaged = self.run.unreadable.iter().find(|file| file.file.ends_with(&name));
        match (damaged, failure) {
            (Some(damaged), _) => format!("its file is unreadable: {}", damaged.reason),
            (None, Some(failure)) => format!("failed: {}", failure.error),
            (None, None) => "ordered, not run yet".to_owned(),
        }
    }
}

/// The cells that both runs measured.
pub fn pairs<'a>(a: &Side<'a>, b: &Side<'a>) -> Vec<Pair<'a>> {
    let matching = |(key, &a): (&String, &Finished<'a>)| Some(Pair { a, b: *b.finished.get(key)? });
    a.finished.iter().filter_map(matching).collect()
}
