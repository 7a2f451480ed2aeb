//! Places of a picture: each is filled by a cell, or by what has become of it.

use std::collections::{BTreeMap, BTreeSet};

use plan::{Cell, Part, Policy, Score, shortest_decimal};

use super::absent::{Absent, Why};
use super::choose::Key;
use crate::row::{Row, newest, newest_dense, short};

/// What stands at a place.
pub(super) enum Place<'a, M> {
    Row(&'a Row<M>),
    /// The cell failed or is missing, or its dense baseline did or is.
    Absent(Absent<'a>),
    /// Nothing was ordered.
    Nothing,
}

impl<'a, M> Place<'a, M> {
    pub(super) fn row(&self) -> Option<&'a Row<M>> {
        match self {
            Place::Row(row) => Some(row),
            _ => None,
        }
    }

    pub(super) fn why(&self) -> Option<Why> {
        match self {
            Place::Absent(absent) => Some(absent.why),
            _ => None,
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Place::Nothing)
    }

    /// The id of the cell, as it stands in tables of numbers.
    pub(super) fn id(&self) -> String {
        match self {
            Place::Row(row) => code(&row.cell_id),
            Place::Absent(absent) => code(absent.id),
            Place::Nothing => String::new(),
        }
    }
}

/// The first characters of a cell's id, as code.
pub(super) fn code(id: &str) -> String {
    format!("`{}`", short(id))
}

/// The rows of one model on one text, and its cells without results.
pub(super) struct Model<'a, M> {
    pub(super) key: Key<'a>,
    pub(super) rows: &'a [Row<M>],
    pub(super) absent: Vec<Absent<'a>>,
    /// The dense row that all others are compared with.
    pub(super) dense: Option<&'a Row<M>>,
}

/// All models with a table, and those of which nothing is done, in the report's order.
pub(super) fn models<'a, M>(
    tables: impl Iterator<Item = (Key<'a>, &'a [Row<M>])>,
    absent: &[Absent<'a>],
    is_wanted: impl Fn(&Cell) -> bool,
) -> Vec<Model<'a, M>> {
    let mut all: BTreeMap<Key<'a>, (&'a [Row<M>], Vec<Absent<'a>>)> =
        tables.map(|(key, rows)| (key, (rows, Vec::new()))).collect();
    for absent in absent.iter().filter(|absent| is_wanted(absent.cell)) {
        let cell = absent.cell;
        let key = (cell.model.as_str(), cell.dataset.as_str(), cell.protocol);
        all.entry(key).or_insert((&[], Vec::new())).1.push(*absent);
    }
    let models = all.into_iter().map(|(key, (rows, absent))| {
        let dense = newest_dense(rows);
        Model { key, rows, absent, dense }
    });
    models.collect()
}

/// One way to drop neurons.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Way {
    pub(super) part: Part,
    pub(super) policy: Policy,
    pub(super) score: Score,
}

impl Way {
    pub(super) fn is_of(self, cell: &Cell) -> bool {
        let treatment = &cell.treatment;
        let own = (treatment.part, treatment.policy, treatment.score);
        own == (self.part, self.policy, Some(self.score))
    }
}

impl<'a, M> Model<'a, M> {
    /// The sparsities at which one of the ways was ordered, ascending.
    pub(super) fn sparsities(&self, ways: &[Way]) -> Vec<f64> {
        let cells = self.rows.iter().map(|row| &row.cell);
        let cells = cells.chain(self.absent.iter().map(|absent| absent.cell));
        let own = cells.filter(|cell| ways.iter().any(|way| way.is_of(cell)));
        // κ as text sorts as it reads: all are "0.…" without trailing zeros.
        let by_text = own.map(|cell| cell.treatment.sparsity);
        let by_text: BTreeMap<String, f64> =
            by_text.map(|sparsity| (shortest_decimal(sparsity), sparsity)).collect();
        by_text.into_values().collect()
    }

    /// The dense row, else what has become of its cell.
    pub(super) fn dense_place(&self) -> Place<'a, M> {
        let absent = self.absent.iter().find(|absent| is_dense(absent.cell));
        match (self.dense, absent) {
            (Some(row), _) => Place::Row(row),
            (None, Some(absent)) => Place::Absent(*absent),
            (None, None) => Place::Nothing,
        }
    }

    /// The newest row of a way that `is_comparable`, else what has become of its cell; and whether
    /// several rows could stand there.
    pub(super) fn place(
        &self,
        way: Way,
        sparsity: f64,
        is_comparable: impl Fn(&Row<M>) -> bool,
    ) -> (Place<'a, M>, bool) {
        let is_it =
            |cell: &Cell| way.is_of(cell) && cell.treatment.sparsity.total_cmp(&sparsity).is_eq();
        let own: Vec<&Row<M>> = self.rows.iter().filter(|row| is_it(&row.cell)).collect();
        let rows: Vec<&Row<M>> = own.iter().copied().filter(|row| is_comparable(row)).collect();
        let is_ambiguous = rows.len() > 1;
        if let Some(row) = newest(rows) {
            return (Place::Row(row), is_ambiguous);
        }
        let absent = self.absent.iter().find(|absent| is_it(absent.cell));
        // A row without its baseline has nothing to be compared with.
        let of_dense = || self.absent.iter().find(|absent| is_dense(absent.cell));
        match absent.or_else(|| of_dense().filter(|_| !own.is_empty())) {
            Some(absent) => (Place::Absent(*absent), false),
            None => (Place::Nothing, false),
        }
    }
}

fn is_dense(cell: &Cell) -> bool {
    cell.treatment.policy == Policy::Dense
}

/// Why cells are absent, each reason once.
pub(super) fn reasons(whys: impl Iterator<Item = Why>) -> Vec<Why> {
    whys.collect::<BTreeSet<Why>>().into_iter().collect()
}

/// What a caption says of hatched places; nothing where there are none.
pub(super) fn hatched(whys: &[Why]) -> Option<String> {
    let hatched = match whys {
        [] => return None,
        [Why::Failed] => "A hatched place is that of a failed cell.",
        [Why::Missing] => "A hatched place is that of a missing cell.",
        _ => "A hatched place is that of a cell that failed (crossed) or is missing.",
    };
    Some(hatched.to_owned())
}
