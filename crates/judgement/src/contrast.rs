//! Static against dynamic: the two policies at one sparsity, chosen by the same score.

use evidence::{Row, Wanted};
use plan::{Part, Policy, Score};

use crate::perplexity::{Perplexity, PerplexityTable};
use crate::unequal::{Unequal, unequal};

/// The score by which both sets are chosen, so that only the moment of choice differs.
pub const SCORE: Score = Score::Magnitude;
/// One set of neurons for the whole run.
pub const FIXED: Wanted = Wanted::way(Part::Ffn, Policy::Static, SCORE);
/// A set of neurons for every token.
pub const DYNAMIC: Wanted = Wanted::way(Part::Ffn, Policy::Dynamic, SCORE);

/// A static and a dynamic row of one table, with one sparsity and one dense baseline.
#[derive(Debug, Clone, Copy)]
pub struct Contrast<'a> {
    /// What both drop.
    pub sparsity: f64,
    /// One set for the whole run.
    pub fixed: &'a Row<Perplexity>,
    /// A set for every token.
    pub dynamic: &'a Row<Perplexity>,
}

impl Contrast<'_> {
    /// Whether the two rows dropped different shares.
    pub fn unequal(&self) -> Option<Unequal> {
        let side =
            |name: &str, row: &Row<Perplexity>| (name.to_owned(), row.shares.reached_sparsity);
        unequal([side("static", self.fixed), side("dynamic", self.dynamic)])
    }
}

/// The contrasts of `table` by ascending sparsity. Only rows compared with the table's newest dense
/// cell count; of several rows for one place the newest stands.
pub fn contrasts(table: &PerplexityTable) -> Vec<Contrast<'_>> {
    let query = table.query();
    let mut dynamic = query.by_sparsity(DYNAMIC);
    let both = query.by_sparsity(FIXED).into_iter().filter_map(|(sparsity, fixed)| {
        let dynamic = dynamic.remove(&sparsity)?.row;
        Some(Contrast { sparsity: sparsity.get(), fixed: fixed.row, dynamic })
    });
    both.collect()
}
