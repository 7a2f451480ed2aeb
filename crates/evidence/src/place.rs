//! Places of a picture or of a table: each is filled by a row, or by what has become of its cell.

use std::collections::{BTreeMap, BTreeSet};

use plan::{Cell, Share};

use crate::absent::{Absent, Why};
use crate::key::{Key, Subject, subject};
use crate::query::{Paired, Query, Wanted};
use crate::row::Row;

/// What stands at a place.
#[derive(Debug)]
pub enum Place<'a, M> {
    /// A row.
    Row(&'a Row<M>),
    /// The cell failed or is missing, or its dense baseline did or is.
    Absent(Absent<'a>),
    /// Nothing was ordered.
    Nothing,
}

impl<'a, M> Place<'a, M> {
    /// The row, where there is one.
    pub fn row(&self) -> Option<&'a Row<M>> {
        match self {
            Place::Row(row) => Some(row),
            _ => None,
        }
    }

    /// Why there is none, where a cell was ordered.
    pub fn why(&self) -> Option<Why> {
        match self {
            Place::Absent(absent) => Some(absent.why),
            _ => None,
        }
    }

    /// Whether nothing was ordered.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Place::Nothing)
    }

    /// The id of the cell that stands there or should.
    pub fn cell_id(&self) -> Option<&'a str> {
        match self {
            Place::Row(row) => Some(&row.cell_id),
            Place::Absent(absent) => Some(absent.id),
            Place::Nothing => None,
        }
    }
}

/// The rows of one model on one text, and its cells without results.
pub struct Model<'a, M> {
    /// What they are about.
    pub subject: Subject<'a>,
    /// In the order of the table.
    pub rows: &'a [Row<M>],
    /// Cells that failed or are missing.
    pub absent: Vec<Absent<'a>>,
    query: Query<'a, M>,
}

/// All models with a table, and those of which nothing is done, by model, text and protocol.
pub fn models<'a, M: Paired>(
    tables: impl Iterator<Item = (Subject<'a>, &'a [Row<M>])>,
    absent: &[Absent<'a>],
    is_wanted: impl Fn(&Cell) -> bool,
) -> Vec<Model<'a, M>> {
    let mut all: BTreeMap<Subject<'a>, (&'a [Row<M>], Vec<Absent<'a>>)> =
        tables.map(|(subject, rows)| (subject, (rows, Vec::new()))).collect();
    for absent in absent.iter().filter(|absent| is_wanted(absent.cell)) {
        all.entry(subject(absent.cell)).or_insert((&[], Vec::new())).1.push(*absent);
    }
    let models = all.into_iter().map(|(subject, (rows, absent))| {
        let query = Query::of(rows);
        Model { subject, rows, absent, query }
    });
    models.collect()
}

impl<'a, M: Paired> Model<'a, M> {
    /// The sparsities at which one of the ways was ordered, ascending.
    pub fn sparsities(&self, ways: &[Wanted]) -> Vec<f64> {
        let absent = self.absent.iter().filter_map(|absent| Key::of(absent.cell));
        let keys = self.rows.iter().map(|row| row.key).chain(absent);
        let own = keys.filter(|key| ways.iter().any(|way| way.fits(key)));
        let sparsities: BTreeSet<Share> = own.map(|key| key.sparsity).collect();
        sparsities.into_iter().map(Share::get).collect()
    }

    /// Whether a row was compared with the dense row of its model.
    pub fn is_comparable(&self, row: &Row<M>) -> bool {
        self.query.is_comparable(row)
    }

    /// The dense row, else what has become of its cell.
    pub fn dense_place(&self) -> Place<'a, M> {
        match (self.query.dense(), self.absent_dense()) {
            (Some(row), _) => Place::Row(row),
            (None, Some(absent)) => Place::Absent(absent),
            (None, None) => Place::Nothing,
        }
    }

    fn absent_dense(&self) -> Option<Absent<'a>> {
        self.absent.iter().find(|absent| is_cell(absent.cell, Key::is_dense)).copied()
    }

    /// The newest comparable row that is wanted, else what has become of its cell; and whether several
    /// rows could stand there.
    pub fn place(&self, wanted: Wanted) -> (Place<'a, M>, bool) {
        if let Some(newest) = self.query.newest(wanted) {
            return (Place::Row(newest.row), newest.n_alike > 1);
        }
        let absent = self.absent.iter().find(|own| is_cell(own.cell, |key| wanted.fits(key)));
        // A row without its baseline has nothing to be compared with.
        let has_row = self.rows.iter().any(|row| wanted.fits(&row.key));
        let absent = absent.copied().or_else(|| self.absent_dense().filter(|_| has_row));
        (absent.map_or(Place::Nothing, Place::Absent), false)
    }
}

/// Whether a cell without results has a place in the tables that is meant.
fn is_cell(cell: &Cell, is_meant: impl FnOnce(&Key) -> bool) -> bool {
    Key::of(cell).as_ref().is_some_and(is_meant)
}

/// Why cells are absent, each reason once.
pub fn reasons(whys: impl Iterator<Item = Why>) -> Vec<Why> {
    whys.collect::<BTreeSet<Why>>().into_iter().collect()
}
