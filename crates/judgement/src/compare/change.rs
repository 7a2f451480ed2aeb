//! What became of one cell from run A to run B: the same bits, a rounding, or a change with its interval
//! and its test.

use evidence::pairing::{Both, Finished, Pair};
use evidence::{CellResult, Measured, Rows, other, other_inputs, other_units};
use serde::Serialize;
use statistics::{
    ConfidenceLevel, Interval, PairedCounts, PermutationPlan, StatisticsError, WindowLoss, largest,
    mcnemar_exact_p, newcombe_paired, perplexity, perplexity_ratio, sign_flip_test,
};
use tables::{ChoiceRow, ItemRow, RowShares, WindowRow};

use super::scores::{self, ScoresChange};
use crate::perplexity::{Resamples, losses};

/// Losses (nats a target) and shares that are further apart than this are no rounding: as far apart as
/// the golden tests let logits be.
pub const ROUNDING: f64 = 1e-4;
/// Seed of the signs that the test of ΔNLL over windows draws.
const SEED: u64 = 1;

/// What the comparison of every cell draws with.
pub(super) struct Draw {
    resamples: Resamples,
    /// Draws of signs.
    pub signs: PermutationPlan,
}

impl Draw {
    /// For the results of one of the runs, and the number of cells that are compared.
    ///
    /// The smallest p-value of drawn signs is about one over their number, and it is adjusted over all
    /// cells: a hundred draws a cell let a single change count, as far as time allows.
    pub(super) fn for_results(results: &[CellResult], n_cells: usize) -> Draw {
        let permutations = (100 * n_cells as u64).clamp(10_000, 100_000);
        Draw {
            resamples: Resamples::for_results(results),
            signs: PermutationPlan { permutations, seed: SEED },
        }
    }
}

/// How alike two measurements of one cell are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sameness {
    /// Every number of every row.
    SameBits,
    /// No loss and no share is further apart than [`ROUNDING`], no answer has changed; no score is
    /// further apart than as much of the largest of its column.
    Rounding,
    /// Something is.
    Differs,
}

/// Could the change be chance?
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Test {
    /// Sign-flip over windows, or McNemar's over items.
    pub p: f64,
    /// Adjusted over all cells that differ.
    pub p_holm: f64,
    /// The same by Benjamini and Hochberg.
    pub p_benjamini_hochberg: f64,
}

/// Perplexity on the same windows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PerplexityChange {
    /// None where it does not exist as a number.
    pub perplexity: Both<Option<f64>>,
    /// B / A with the limits of its 95 % interval; no limits for a single window.
    pub ratio: Option<f64>,
    /// The lower limit.
    pub lower: Option<f64>,
    /// The upper limit.
    pub upper: Option<f64>,
    /// Windows of text.
    pub n_windows: usize,
    /// Windows with another loss.
    pub n_changed: usize,
}

/// Accuracy on the same items.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccuracyChange {
    /// Correct items.
    pub n_correct: Both<u64>,
    /// All items.
    pub n_items: u64,
    /// B − A with Newcombe's 95 % limits.
    pub difference: f64,
    /// The lower limit.
    pub lower: f64,
    /// The upper limit.
    pub upper: f64,
    /// Items that only one of the runs gets right.
    pub only: Both<u64>,
}

/// What was measured twice.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "measured", rename_all = "snake_case")]
pub enum Change {
    /// Losses of windows.
    Perplexity(PerplexityChange),
    /// Answers.
    Accuracy(AccuracyChange),
    /// Scores and overlaps.
    Scores(ScoresChange),
}

/// One cell of both runs, set beside itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// How alike they are.
    pub verdict: Sameness,
    /// The largest difference of a loss, in nats a target; none for scores.
    pub largest_nats: Option<f64>,
    /// None for scores, which have no units to resample.
    pub test: Option<Test>,
    /// What was measured.
    #[serde(flatten)]
    pub change: Change,
}

impl Compared {
    /// By what changed cells of one kind are sorted: |ln(B / A)|, |B − A|, the relative difference of a
    /// score. A ratio that does not exist is larger than any other.
    pub fn size(&self) -> f64 {
        match &self.change {
            Change::Perplexity(change) => change.ratio.map_or(f64::INFINITY, |r| r.ln().abs()),
            Change::Accuracy(change) => change.difference.abs(),
            Change::Scores(change) => change.largest,
        }
    }
}

/// Compares the two measurements of a pair.
///
/// # Errors
/// The reason why they are not of the same thing.
pub(super) fn compare(pair: &Pair<'_>, draw: &Draw) -> Result<Compared, String> {
    let (a, b) = (pair.provenance_a(), pair.provenance_b());
    let mut reasons = other_inputs(b, a, "A");
    let calibration = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    let (ours, theirs) = (calibration(&b.calibration_sha256), calibration(&a.calibration_sha256));
    reasons.extend(other("calibration text", &ours, &theirs, "A"));
    if let (Finished::Losses(a), Finished::Losses(b)) = (pair.a, pair.b) {
        reasons.extend(other_units(&b.rows, &a.rows, "A"));
    }
    if !reasons.is_empty() {
        return Err(reasons.join("; "));
    }
    let compared = match (pair.a, pair.b) {
        (Finished::Scores(a), Finished::Scores(b)) => return scores(&a.measured, &b.measured),
        (Finished::Losses(a), Finished::Losses(b)) => match (&a.rows, &b.rows) {
            (Rows::Windows(_), Rows::Windows(_)) => windows(a, b, draw),
            (Rows::Items(a), Rows::Items(b)) => items(a, b),
            (Rows::Choices(_, a), Rows::Choices(_, b)) => choices(a, b),
            _ => return Err("rows of one kind in one run, of another in the other".to_owned()),
        },
        _ => return Err("losses in one run, scores in the other".to_owned()),
    };
    compared.map_err(|error| error.to_string())
}

fn scores(a: &Measured, b: &Measured) -> Result<Compared, String> {
    let change = scores::compare(a, b)?;
    let verdict = match change.n_changed {
        0 => Sameness::SameBits,
        _ if change.largest <= scores::ROUNDING => Sameness::Rounding,
        _ => Sameness::Differs,
    };
    Ok(Compared { verdict, largest_nats: None, test: None, change: Change::Scores(change) })
}

fn windows(a: &CellResult, b: &CellResult, draw: &Draw) -> Result<Compared, StatisticsError> {
    let (rows_a, rows_b) = (a.windows(), b.windows());
    let (losses_a, losses_b) = (losses(a), losses(b));
    let deltas: Vec<f64> =
        losses_a.iter().zip(&losses_b).map(|(a, b)| b.nll_nats - a.nll_nats).collect();
    let n_changed = deltas.iter().filter(|delta| **delta != 0.0).count();
    let nats = deltas.iter().zip(rows_a).map(|(delta, row)| per_target(*delta, row.n_targets));
    let apart = Apart::from_rows(
        nats,
        rows_a.iter().zip(rows_b).map(|(a, b)| (window_numbers(a), window_numbers(b))),
    );
    let p = if n_changed == 0 { 1.0 } else { sign_flip_test(&deltas, draw.signs)?.p };
    let ratio = RatioOfRuns::from_losses(&losses_a, &losses_b, n_changed, &draw.resamples)?;
    let change = PerplexityChange {
        perplexity: Both { a: perplexity(&losses_a).ok(), b: perplexity(&losses_b).ok() },
        ratio: ratio.estimate,
        lower: ratio.lower,
        upper: ratio.upper,
        n_windows: rows_a.len(),
        n_changed,
    };
    Ok(Compared {
        verdict: apart.verdict(),
        largest_nats: Some(apart.nats),
        test: Some(untouched(p)),
        change: Change::Perplexity(change),
    })
}

/// B / A and the limits of its interval, where they exist.
#[derive(Default)]
struct RatioOfRuns {
    estimate: Option<f64>,
    lower: Option<f64>,
    upper: Option<f64>,
}

impl RatioOfRuns {
    /// Without limits for one window, without anything where the ratio overflows.
    fn from_losses(
        a: &[WindowLoss],
        b: &[WindowLoss],
        n_changed: usize,
        resamples: &Resamples,
    ) -> Result<RatioOfRuns, StatisticsError> {
        if n_changed == 0 {
            // Every resample gives a ratio of 1.
            let limit = (a.len() > 1).then_some(1.0);
            return Ok(RatioOfRuns { estimate: Some(1.0), lower: limit, upper: limit });
        }
        match resamples.interval(a, b) {
            Ok(Interval { lower, estimate, upper }) => {
                let [lower, estimate, upper] = [lower, estimate, upper].map(Some);
                Ok(RatioOfRuns { estimate, lower, upper })
            }
            Err(StatisticsError::TooFew { .. }) => Ok(RatioOfRuns {
                estimate: Some(perplexity_ratio(a, b)?),
                ..RatioOfRuns::default()
            }),
            Err(StatisticsError::Overflow { .. }) => Ok(RatioOfRuns::default()),
            Err(error) => Err(error),
        }
    }
}

/// Right and wrong answers, and how far the rows that they follow from are apart.
fn answers([a, b]: [&[bool]; 2], apart: Apart) -> Result<Compared, StatisticsError> {
    // B first: a difference is B − A.
    let counts = PairedCounts::from_outcomes(b, a)?;
    let interval = newcombe_paired(counts, ConfidenceLevel::P95)?;
    let change = AccuracyChange {
        n_correct: Both { a: counts.second()?.successes(), b: counts.first()?.successes() },
        n_items: counts.items(),
        difference: interval.estimate,
        lower: interval.lower,
        upper: interval.upper,
        only: Both { a: counts.only_second, b: counts.only_first },
    };
    let has_same_answers = counts.discordant() == 0;
    Ok(Compared {
        verdict: if has_same_answers { apart.verdict() } else { Sameness::Differs },
        largest_nats: Some(apart.nats),
        test: Some(untouched(mcnemar_exact_p(counts))),
        change: Change::Accuracy(change),
    })
}

fn items(a: &[ItemRow], b: &[ItemRow]) -> Result<Compared, StatisticsError> {
    let outcomes = |rows: &[ItemRow]| -> Vec<bool> { rows.iter().map(|row| row.correct).collect() };
    let pairs = || a.iter().zip(b);
    let nats = pairs()
        .map(|(a, b)| per_target(b.word_logprob_nats - a.word_logprob_nats, a.n_target_tokens));
    let apart = Apart::from_rows(nats, pairs().map(|(a, b)| (item_numbers(a), item_numbers(b))));
    answers([&outcomes(a), &outcomes(b)], apart)
}

fn choices(a: &[ChoiceRow], b: &[ChoiceRow]) -> Result<Compared, StatisticsError> {
    let outcomes = |rows: &[ChoiceRow]| -> Vec<bool> {
        tables::outcomes(rows).iter().map(|own| own.acc).collect()
    };
    let numbers = |row: &ChoiceRow| numbers(row.logprob_nats, &row.shares);
    let pairs = || a.iter().zip(b);
    let nats = pairs().map(|(a, b)| per_target(b.logprob_nats - a.logprob_nats, a.n_target_tokens));
    let apart = Apart::from_rows(nats, pairs().map(|(a, b)| (numbers(a), numbers(b))));
    answers([&outcomes(a), &outcomes(b)], apart)
}

/// How far apart the rows of two measurements are.
struct Apart {
    is_same: bool,
    /// Largest difference of a loss, nats a target.
    nats: f64,
    /// Largest difference of a share.
    share: f64,
}

impl Apart {
    /// From the differences of losses, and the numbers of every two rows: a loss, then shares.
    fn from_rows(
        nats: impl Iterator<Item = f64>,
        rows: impl Iterator<Item = ([Option<f64>; 4], [Option<f64>; 4])>,
    ) -> Apart {
        let (mut is_same, mut share) = (true, 0.0);
        for (a, b) in rows {
            let bits = |numbers: [Option<f64>; 4]| numbers.map(|own| own.map(f64::to_bits));
            is_same &= bits(a) == bits(b);
            // A share that only one of them has cannot be compared.
            let shares = a.iter().zip(&b).skip(1).filter_map(|(a, b)| Some((*a)?).zip(*b));
            share = largest(shares.map(|(a, b)| (b - a).abs()).chain([share]));
        }
        Apart { is_same, nats: largest(nats), share }
    }

    fn verdict(&self) -> Sameness {
        match self.is_same {
            true => Sameness::SameBits,
            false if largest([self.nats, self.share]) <= ROUNDING => Sameness::Rounding,
            false => Sameness::Differs,
        }
    }
}

fn per_target(delta: f64, n_targets: u32) -> f64 {
    delta.abs() / f64::from(n_targets.max(1))
}

/// A test whose p-value has not been adjusted yet: that takes all cells.
fn untouched(p: f64) -> Test {
    Test { p, p_holm: p, p_benjamini_hochberg: p }
}

fn window_numbers(row: &WindowRow) -> [Option<f64>; 4] {
    numbers(row.nll_nats, &row.shares)
}

fn item_numbers(row: &ItemRow) -> [Option<f64>; 4] {
    numbers(row.word_logprob_nats, &row.shares)
}

/// A loss, then shares.
fn numbers(loss: f64, shares: &RowShares) -> [Option<f64>; 4] {
    [Some(loss), Some(shares.reached_sparsity), shares.natural_sparsity, shares.kept_energy]
}
