//! Static against dynamic: the two policies at one sparsity, chosen by the same score.

use std::collections::BTreeMap;

use plan::{Part, Policy, Score, shortest_decimal};

use crate::perplexity::{Perplexity, PerplexityTable};
use crate::row::{Row, is_of, newest, newest_dense};
use crate::unequal;

/// The score by which both sets are chosen, so that only the moment of choice differs.
pub(crate) const SCORE: Score = Score::Magnitude;

/// A static and a dynamic row of one table, with one sparsity and one dense baseline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub(crate) sparsity: f64,
    pub(crate) fixed: &'a Row<Perplexity>,
    pub(crate) dynamic: &'a Row<Perplexity>,
}

impl Pair<'_> {
    /// What is to be said when the two rows dropped different shares.
    pub(crate) fn unequal(&self) -> Option<String> {
        let side =
            |name: &str, row: &Row<Perplexity>| (name.to_owned(), row.shares.reached_sparsity);
        unequal::flag([side("static", self.fixed), side("dynamic", self.dynamic)])
    }
}

/// The pairs of `table` by ascending sparsity. Only rows compared with the table's newest dense
/// cell count; of several rows for one place the newest stands.
pub(crate) fn pairs(table: &PerplexityTable) -> Vec<Pair<'_>> {
    let Some(dense) = newest_dense(&table.rows) else { return Vec::new() };
    let rows = |policy: Policy| {
        // κ as text sorts as it reads: all are "0.…" without trailing zeros.
        let mut by_sparsity: BTreeMap<String, Vec<&Row<Perplexity>>> = BTreeMap::new();
        for row in &table.rows {
            let treatment = &row.cell.treatment;
            let compared = row.measured.against_dense.compared();
            if is_of(row, Part::Ffn)
                && treatment.policy == policy
                && treatment.score == Some(SCORE)
                && compared.is_some_and(|compared| compared.dense_cell_id == dense.cell_id)
            {
                by_sparsity.entry(shortest_decimal(treatment.sparsity)).or_default().push(row);
            }
        }
        by_sparsity
    };
    let mut dynamic = rows(Policy::Dynamic);
    let pair = |(sparsity, fixed): (String, Vec<_>)| {
        let dynamic = dynamic.remove(&sparsity)?;
        let (fixed, dynamic) = (newest(fixed)?, newest(dynamic)?);
        let sparsity = fixed.cell.treatment.sparsity;
        Some(Pair { sparsity, fixed, dynamic })
    };
    rows(Policy::Static).into_iter().filter_map(pair).collect()
}
