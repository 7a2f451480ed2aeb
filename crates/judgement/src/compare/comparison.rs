//! Two runs side by side: every cell that both measured, and those that only one has.

use std::cmp::Ordering;
use std::path::Path;

use anyhow::{Result, bail};
use evidence::pairing::{Both, Only, Pair, Side, pairs};
use evidence::{Run, Unreadable, find_runs};
use rayon::prelude::*;
use serde::Serialize;
use statistics::{benjamini_hochberg, holm};

use super::change::{self, Compared, Draw, Sameness, Test};
use super::matched::{Matched, Outcome};
use super::origins::{Origin, OtherInput, Speed, other_inputs};

/// All that two runs say of each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Where the numbers of each come from.
    pub origins: Both<Origin>,
    /// Models and texts of one name that are other files in B.
    #[serde(skip)]
    pub other_inputs: Vec<OtherInput>,
    /// None where no cell was compared.
    pub speed: Option<Speed>,
    /// Assignments of signs that the test of a perplexity draws where it cannot visit all.
    pub n_permutations: u64,
    /// The largest change first, then what is the same, then what was refused.
    pub matched: Vec<Matched>,
    /// Cells that only one run measured, with what the other says of them.
    pub only: Both<Vec<Only>>,
    /// Files that cannot be used.
    pub unreadable: Both<Vec<Unreadable>>,
}

impl Comparison {
    /// Reads two runs and sets them side by side.
    ///
    /// # Errors
    /// When a folder cannot be read or is not one run.
    pub fn read(folders: [&Path; 2]) -> Result<Comparison> {
        let load = |folder: &Path| match find_runs(folder)?.as_slice() {
            [only] => Run::load(only),
            many => {
                bail!("{} holds {} runs: name the folder of one", folder.display(), many.len())
            }
        };
        Comparison::from_runs(&load(folders[0])?, &load(folders[1])?)
    }

    /// # Errors
    /// For a cell whose p-value is no probability, which no test gives.
    fn from_runs(a: &Run, b: &Run) -> Result<Comparison> {
        let (side_a, side_b) = (Side::from_run(a), Side::from_run(b));
        let pairs = pairs(&side_a, &side_b);
        let draw = Draw::for_results(&b.results, pairs.len());
        let set_beside = |pair: &Pair<'_>| matched(pair, &draw);
        let mut matched: Vec<Matched> = pairs.par_iter().map(set_beside).collect();
        adjust(&mut matched)?;
        matched.sort_by(by_size);
        let origins = Both { a: Origin::from_run(a, &side_a), b: Origin::from_run(b, &side_b) };
        let speed = Speed::from_matched(&matched);
        let only = Both { a: side_a.only(&side_b), b: side_b.only(&side_a) };
        Ok(Comparison {
            other_inputs: other_inputs(a, b),
            origins,
            speed,
            n_permutations: draw.signs.permutations,
            matched,
            only,
            unreadable: Both { a: a.unreadable.clone(), b: b.unreadable.clone() },
        })
    }

    /// The compared cells with this verdict, the largest change first.
    pub fn with(&self, sameness: Sameness) -> impl Iterator<Item = &Matched> {
        self.matched.iter().filter(move |matched| matched.has(sameness))
    }

    /// Cells whose id promises the same numbers and that have others.
    pub fn altered(&self) -> Vec<&Matched> {
        let compared = self.matched.iter().filter(|own| own.compared().is_some());
        let is_altered =
            |own: &&Matched| own.cell_ids.a == own.cell_ids.b && !own.has(Sameness::SameBits);
        compared.filter(is_altered).collect()
    }

    /// The largest difference of a loss that is a rounding, in nats a target.
    pub fn largest_rounding_nats(&self) -> Option<f64> {
        self.with(Sameness::Rounding)
            .filter_map(|own| own.compared()?.largest_nats)
            .reduce(f64::max)
    }

    /// How many of the changes could not be chance; none where nothing was tested. The family is all cells
    /// that differ; what is no more than a rounding is not counted, however sure it is.
    pub fn significance(&self) -> Option<Significance> {
        let test = |own: &Matched| own.compared().and_then(|compared| compared.test);
        let in_family = |own: &&Matched| !own.has(Sameness::SameBits) && test(own).is_some();
        let n_family = self.matched.iter().filter(in_family).count();
        let tests: Vec<Test> = self.with(Sameness::Differs).filter_map(test).collect();
        let smallest = *tests.iter().min_by(|a, b| a.p.total_cmp(&b.p))?;
        let below = |p: fn(&Test) -> f64| tests.iter().filter(|test| p(test) < ALPHA).count();
        Some(Significance {
            n_tests: tests.len(),
            n_family,
            n_holm: below(|test| test.p_holm),
            n_benjamini_hochberg: below(|test| test.p_benjamini_hochberg),
            smallest,
        })
    }
}

/// Level below which an adjusted p-value counts.
pub const ALPHA: f64 = 0.05;

/// How many changes count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Significance {
    /// Tested changes that are no roundings.
    pub n_tests: usize,
    /// Tests that share the adjustment.
    pub n_family: usize,
    /// Changes that count after Holm's adjustment.
    pub n_holm: usize,
    /// Changes that count after Benjamini and Hochberg's.
    pub n_benjamini_hochberg: usize,
    /// The test with the smallest p-value.
    pub smallest: Test,
}

fn matched(pair: &Pair<'_>, draw: &Draw) -> Matched {
    let (a, b) = (pair.provenance_a(), pair.provenance_b());
    let outcome = match change::compare(pair, draw) {
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
        Outcome::Compared(compared) if compared.verdict != Sameness::SameBits => {
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
