//! The one query of tables: the newest row of this part, policy, score, κ … that was compared with the
//! newest dense row.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use plan::{Part, Policy, Score, Share};

use crate::key::Key;
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
        Wanted { sparsity: Some(Share::nearest(sparsity)), ..self }
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
/// there are several, and each row is compared with its own. Of several stretches of a text the first.
pub fn newest_dense<M>(rows: &[Row<M>]) -> Option<&Row<M>> {
    let dense = || rows.iter().filter(|row| row.key.is_dense());
    let first = dense().map(|row| row.key.offset).min()?;
    newest(dense().filter(|row| row.key.offset == first))
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

#[cfg(test)]
mod tests {
    use plan::{Cell, Protocol, Treatment, TreatmentSpec};

    use super::*;
    use crate::row::{Shares, Touches};

    /// Measured beside the dense cell of this id.
    #[derive(Debug)]
    struct Beside(Option<&'static str>);

    impl Paired for Beside {
        fn dense_cell_id(&self) -> Option<&str> {
            self.0
        }
    }

    fn row(id: &str, treatment: Treatment, started_at_ms: i64, beside: Beside) -> Row<Beside> {
        let cell = Cell {
            model: "m".to_owned(),
            dataset: "d".to_owned(),
            protocol: Protocol::Perplexity { window_tokens: 64 },
            limit: None,
            calibration: None,
            recipe: treatment.clone().into(),
            offset: None,
            compare: None,
        };
        let (shares, touches) = (
            Shares {
                kept_energy: Some(1.0),
                natural_sparsity: Some(0.0),
                reached_sparsity: 0.0,
                cache_left: None,
            },
            Touches { parameters: 0.0, flops: 0.0, state_bytes: 0.0 },
        );
        Row {
            cell_id: id.to_owned(),
            label: cell.label(),
            key: Key::of(&cell).unwrap(),
            cell,
            treatment,
            code_version: "c".to_owned(),
            started_at_ms,
            seconds: 1.0,
            tokens: 1,
            tokens_per_second: Some(1.0),
            peak_rss_bytes: 0,
            shares,
            touches,
            measured: beside,
            distinctions: Vec::new(),
        }
    }

    fn pruned(policy: Policy, score: Score, sparsity: f64) -> Treatment {
        let spec = TreatmentSpec { score: Some(score), sparsity, ..TreatmentSpec::of(policy, 1) };
        Treatment::new(spec).unwrap()
    }

    /// Two dense rows, and rows compared with the newer one, the older one or none.
    fn rows() -> Vec<Row<Beside>> {
        let dynamic = |sparsity| pruned(Policy::Dynamic, Score::Magnitude, sparsity);
        vec![
            row("d1", Treatment::dense(1), 1, Beside(None)),
            row("d2", Treatment::dense(1), 2, Beside(None)),
            row("a", dynamic(0.5), 3, Beside(Some("d2"))),
            row("c", dynamic(0.5), 5, Beside(Some("d2"))),
            row("b", dynamic(0.5), 5, Beside(Some("d2"))),
            row("old", dynamic(0.5), 9, Beside(Some("d1"))),
            row("none", dynamic(0.75), 9, Beside(None)),
            row("e", dynamic(0.9), 4, Beside(Some("d2"))),
            row("s", pruned(Policy::Static, Score::Weight, 0.9), 4, Beside(Some("d2"))),
        ]
    }

    const DYNAMIC: Wanted = Wanted::way(Part::Ffn, Policy::Dynamic, Score::Magnitude);

    #[test]
    fn the_newest_row_against_the_newest_dense_stands() {
        let rows = rows();
        let query = Query::of(&rows);
        assert_eq!(query.dense().map(|row| row.cell_id.as_str()), Some("d2"));
        let newest = query.newest(DYNAMIC.at(0.5)).unwrap();
        // Of b and c, which are as new, the lowest id.
        assert_eq!((newest.row.cell_id.as_str(), newest.n_alike), ("b", 3));
        assert!(query.newest(DYNAMIC.at(0.75)).is_none(), "it was compared with nothing");
        assert!(query.newest(DYNAMIC.at(0.25)).is_none());
        let any = Query::of_any_dense(&rows).newest(DYNAMIC.at(0.5)).unwrap();
        assert_eq!((any.row.cell_id.as_str(), any.n_alike), ("old", 4));
    }

    #[test]
    fn what_is_left_open_fits_and_dense_prunes_nothing() {
        let rows = rows();
        let query = Query::of(&rows);
        let at: Vec<(f64, &str)> = query
            .by_sparsity(DYNAMIC)
            .into_iter()
            .map(|(sparsity, newest)| (sparsity.get(), newest.row.cell_id.as_str()))
            .collect();
        assert_eq!(at, [(0.5, "b"), (0.9, "e")]);
        let of_ffn = Wanted { part: Some(Part::Ffn), ..Wanted::default() };
        assert_eq!(query.rows(of_ffn).count(), 5);
        assert!(!of_ffn.fits(&rows[0].key));
        let of_state = Wanted { part: Some(Part::State), ..Wanted::default() };
        assert_eq!(query.rows(of_state).count(), 0);
        let by_score = query.by(Wanted::default().at(0.9), |key| key.score);
        assert_eq!(by_score.keys().copied().collect::<Vec<_>>(), [Score::Magnitude, Score::Weight]);
    }
}
