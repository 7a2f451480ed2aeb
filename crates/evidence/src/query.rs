//! The one query of tables: the newest row of this part, policy, score, κ … that was compared with the
//! newest dense row.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use plan::{Part, Policy, Score};

use crate::key::{Key, Share};
use crate::row::Row;

/// What was measured beside a dense cell.
pub trait Paired {
    /// The dense cell that it was compared with; none where it was not.
    fn dense_cell_id(&self) -> Option<&str>;
}

/// Which rows are meant; what is left open fits every row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Rows that prune this part.
    pub part: Option<Part>,
    /// Rows of this policy.
    pub policy: Option<Policy>,
    /// Rows whose sets this score chose.
    pub score: Option<Score>,
    /// Rows of this κ.
    pub sparsity: Option<Share>,
}

impl Wanted {
    /// Sets of `part` that `score` chooses under `policy`, at any κ.
    pub const fn way(part: Part, policy: Policy, score: Score) -> Wanted {
        Wanted { part: Some(part), policy: Some(policy), score: Some(score), sparsity: None }
    }

    /// The same at one κ.
    pub fn at(self, sparsity: f64) -> Wanted {
        Wanted { sparsity: Some(Share::new(sparsity)), ..self }
    }

    /// Whether a row of this key is meant.
    pub fn fits(&self, key: &Key) -> bool {
        let Wanted { part, policy, score, sparsity } = *self;
        part.is_none_or(|own| key.prunes(own))
            && policy.is_none_or(|own| key.policy == own)
            && score.is_none_or(|own| key.score == Some(own))
            && sparsity.is_none_or(|own| key.sparsity == own)
    }
}

/// The newest of the rows that could stand at one place.
#[derive(Debug)]
pub struct Newest<'a, M> {
    /// The row.
    pub row: &'a Row<M>,
    /// How many rows could stand there: of other seeds, limits, calibration or code.
    pub n_alike: usize,
}

/// The newest of rows that could stand at one place; of equals the one with the lowest id.
pub fn newest<'a, M>(rows: impl IntoIterator<Item = &'a Row<M>>) -> Option<&'a Row<M>> {
    rows.into_iter().max_by_key(|row| (row.started_at_ms, Reverse(&row.cell_id)))
}

/// The dense row that sentences and pictures are about: where code or limits changed between orders
/// there are several, and each row is compared with its own.
pub fn newest_dense<M>(rows: &[Row<M>]) -> Option<&Row<M>> {
    newest(rows.iter().filter(|row| row.key.is_dense()))
}

/// The rows of one table, asked by key.
#[derive(Debug)]
pub struct Query<'a, M> {
    rows: &'a [Row<M>],
    dense: Option<&'a Row<M>>,
    takes_any_dense: bool,
}

impl<'a, M: Paired> Query<'a, M> {
    /// Of the rows compared with the newest dense row of `rows`, so that all answers have one baseline.
    pub fn of(rows: &'a [Row<M>]) -> Self {
        Query { rows, dense: newest_dense(rows), takes_any_dense: false }
    }

    /// Of the rows compared with a dense row at all.
    pub fn of_any_dense(rows: &'a [Row<M>]) -> Self {
        Query { rows, dense: newest_dense(rows), takes_any_dense: true }
    }

    /// The newest dense row.
    pub fn dense(&self) -> Option<&'a Row<M>> {
        self.dense
    }

    /// Whether a row may stand in an answer.
    pub fn is_comparable(&self, row: &Row<M>) -> bool {
        let compared = row.measured.dense_cell_id();
        match self.takes_any_dense {
            true => compared.is_some(),
            false => {
                compared.zip(self.dense).is_some_and(|(compared, dense)| compared == dense.cell_id)
            }
        }
    }

    /// Every row that is meant, in the order of the table.
    pub fn rows(&self, wanted: Wanted) -> impl Iterator<Item = &'a Row<M>> {
        self.rows.iter().filter(move |row| wanted.fits(&row.key) && self.is_comparable(row))
    }

    /// The newest row that is meant.
    pub fn newest(&self, wanted: Wanted) -> Option<Newest<'a, M>> {
        let row = newest(self.rows(wanted))?;
        Some(Newest { row, n_alike: self.rows(wanted).count() })
    }

    /// The newest row at every place; rows without a place are left out.
    pub fn by<K: Ord>(
        &self,
        wanted: Wanted,
        place: impl Fn(&Key) -> Option<K>,
    ) -> BTreeMap<K, Newest<'a, M>> {
        let mut places: BTreeMap<K, Vec<&'a Row<M>>> = BTreeMap::new();
        for row in self.rows(wanted) {
            if let Some(place) = place(&row.key) {
                places.entry(place).or_default().push(row);
            }
        }
        let with_newest = places.into_iter().filter_map(|(place, rows)| {
            let n_alike = rows.len();
            Some((place, Newest { row: newest(rows)?, n_alike }))
        });
        with_newest.collect()
    }

    /// The newest row at every κ.
    pub fn by_sparsity(&self, wanted: Wanted) -> BTreeMap<Share, Newest<'a, M>> {
        self.by(wanted, |key| Some(key.sparsity))
    }
}
