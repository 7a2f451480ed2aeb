//! What changed from one run to another: the cells that both measured, each set beside itself, and
//! those that only one has.
//!
//! Cells are matched by what they measure and not by their ids, which hold the version of the code and
//! the hashes of the inputs. The second run, B, is read against the first, A: a ratio is B / A, a
//! difference B − A.

mod change;
mod findings;
mod matching;
mod origins;
mod page;
mod scores;

use std::cmp::Ordering;

use anyhow::{Result, bail};
use plan::Cell;
use rayon::prelude::*;
use serde::Serialize;
use statistics::{benjamini_hochberg, holm};

use crate::run::{Run, Unreadable, find_runs};
use change::{Compared, Draw, Verdict};
use matching::{Only, Pair, Side};
use origins::{Origin, Speed};

pub(crate) use page::render;

/// A value of each run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Both<T> {
    pub(crate) a: T,
    pub(crate) b: T,
}

/// What became of one cell that both runs measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Another text, another model, or other windows or items: nothing to be compared.
    Refused { reason: String },
    /// The same measurement, made twice.
    Compared(Compared),
}

/// One cell that both runs measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Matched {
    pub(crate) label: String,
    pub(crate) cell: Cell,
    pub(crate) cell_ids: Both<String>,
    pub(crate) seconds: Both<f64>,
    pub(crate) outcome: Outcome,
}

impl Matched {
    pub(crate) fn compared(&self) -> Option<&Compared> {
        match &self.outcome {
            Outcome::Compared(compared) => Some(compared),
            Outcome::Refused { .. } => None,
        }
    }

    fn has(&self, verdict: Verdict) -> bool {
        self.compared().is_some_and(|compared| compared.verdict == verdict)
    }
}

/// All that two runs say of each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Comparison {
    pub(crate) findings: Vec<String>,
    /// What differs besides the numbers.
    pub(crate) differences: Vec<String>,
    pub(crate) origins: Both<Origin>,
    /// None where no cell was compared.
    pub(crate) speed: Option<Speed>,
    /// Assignments of signs that the test of a perplexity draws where it cannot visit all.
    pub(crate) n_permutations: u64,
    /// The largest change first, then what is the same, then what was refused.
    pub(crate) matched: Vec<Matched>,
    /// Cells that only one run measured, with what the other says of them.
    pub(crate) only: Both<Vec<Only>>,
    pub(crate) unreadable: Both<Vec<Unreadable>>,
}

impl Comparison {
    /// Reads two runs and sets them side by side.
    ///
    /// # Errors
    /// When a folder cannot be read or is not one run.
    pub(crate) fn read(folders: [&std::path::Path; 2]) -> Result<Comparison> {
        let load = |folder: &std::path::Path| match find_runs(folder)?.as_slice() {
            [only] => Run::load(only),
            many => {
                bail!("{} holds {} runs: name the folder of one", folder.display(), many.len())
            }
        };
        Comparison::of(&load(folders[0])?, &load(folders[1])?)
    }

    /// # Errors
    /// For a cell whose p-value is no probability, which no test gives.
    fn of(a: &Run, b: &Run) -> Result<Comparison> {
        let (side_a, side_b) = (Side::of(a), Side::of(b));
        let pairs = matching::pairs(&side_a, &side_b);
        let draw = Draw::of(&b.results, pairs.len());
        let set_beside = |pair: &Pair<'_>| matched(pair, &draw);
        let mut matched: Vec<Matched> = pairs.par_iter().map(set_beside).collect();
        adjust(&mut matched)?;
        matched.sort_by(by_size);
        let origins = Both { a: Origin::of(a, &side_a), b: Origin::of(b, &side_b) };
        let speed = Speed::of(&matched);
        let only = Both { a: side_a.only(&side_b), b: side_b.only(&side_a) };
        Ok(Comparison {
            findings: findings::of(&matched, &only),
            differences: origins::differences(a, b, &origins, speed.as_ref()),
            origins,
            speed,
            n_permutations: draw.signs.permutations,
            matched,
            only,
            unreadable: Both { a: a.unreadable.clone(), b: b.unreadable.clone() },
        })
    }

    /// The compared cells with this verdict, the largest change first.
    fn with(&self, verdict: Verdict) -> impl Iterator<Item = &Matched> {
        self.matched.iter().filter(move |matched| matched.has(verdict))
    }
}

fn matched(pair: &Pair<'_>, draw: &Draw) -> Matched {
    let (a, b) = (pair.provenance_a(), pair.provenance_b());
    let outcome = match change::of(pair, draw) {
        Ok(compared) => Outcome::Compared(compared),
        Err(reason) => Outcome::Refused { reason },
    };
    Matched {
        label: pair.cell().label(),
        cell: pair.cell().clone(),
        cell_ids: pair.ids(),
        seconds: Both { a: a.seconds, b: b.seconds },
        outcome,
    }
}

/// Adjusts the p-values of all cells that differ as one family: where every bit is the same there is nothing
/// to test.
fn adjust(matched: &mut [Matched]) -> Result<()> {
    let tests = matched.iter_mut().filter_map(|matched| match &mut matched.outcome {
        Outcome::Compared(compared) if compared.verdict != Verdict::SameBits => {
            compared.test.as_mut()
        }
        Outcome::Compared(_) => None,
        Outcome::Refused { .. } => None,
    });
    let mut tests: Vec<_> = tests.collect();
    let raw: Vec<f64> = tests.iter().map(|test| test.p).collect();
    let (holm, benjamini_hochberg) = (holm(&raw)?, benjamini_hochberg(&raw)?);
    for (index, test) in tests.iter_mut().enumerate() {
        test.p_holm = holm[index];
        test.p_benjamini_hochberg = benjamini_hochberg[index];
    }
    Ok(())
}

/// The largest change first; what is compared before what is refused; then by name.
fn by_size(first: &Matched, second: &Matched) -> Ordering {
    let size = |matched: &Matched| matched.compared().map_or(f64::NEG_INFINITY, Compared::size);
    let name = |matched: &Matched| (matched.label.clone(), matched.cell_ids.a.clone());
    let by_size = size(second).total_cmp(&size(first));
    by_size.then_with(|| name(first).cmp(&name(second)))
}
