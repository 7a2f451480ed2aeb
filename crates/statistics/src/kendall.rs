//! Kendall's rank correlation: how often two lists order a pair of items the same way.

use statrs::distribution::{ContinuousCDF, Normal};

use crate::correlation::{check_pairs, fisher_interval, mid_ranks};
use crate::{ConfidenceLevel, Interval, StatisticsError};

/// What `n - 4` times the variance of `artanh(τ)` is close to.
const FIELLER_VARIANCE: f64 = 0.437;

/// Kendall's correlation with its test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kendall {
    /// `τ_b`, between -1 and 1.
    pub tau: f64,
    /// Two-sided asymptotic p-value of "the lists are independent".
    pub p: f64,
}

/// Kendall's `τ_b`, which corrects for ties, and its asymptotic test.
///
/// Of the `N = n(n-1)/2` pairs of items, `C` are ordered alike in both lists, `D` oppositely, `T₁`
/// tie in the first and `T₂` in the second list. For each list, sums run over its groups of `t`
/// equal numbers:
///
/// ```text
/// τ_b = (C - D) / sqrt( (N - T₁)·(N - T₂) )              z = (C - D) / sqrt(v)
/// v = ( n(n-1)(2n+5) - Σt(t-1)(2t+5) - Σ′t(t-1)(2t+5) ) / 18
///   + Σt(t-1)·Σ′t(t-1) / ( 2n(n-1) ) + Σt(t-1)(t-2)·Σ′t(t-1)(t-2) / ( 9n(n-1)(n-2) )
/// ```
///
/// Kendall 1938, Biometrika 30, 81–93; with ties Kendall 1945, Biometrika 33, 239–251. `C - D` is
/// counted by sorting, in `n·log n` steps: Knight 1966, JASA 61, 436–439. The normal approximation
/// is rough below about 10 items.
///
/// # Errors
/// As [`pearson`](crate::pearson), but [`StatisticsError::TooFew`] with fewer than 3 pairs: two have
/// no asymptotic test.
pub fn kendall(first: &[f64], second: &[f64]) -> Result<Kendall, StatisticsError> {
    check_pairs(first, second)?;
    if first.len() < 3 {
        let (what, needed, got) = ("kendall's correlation", 3, first.len());
        return Err(StatisticsError::TooFew { what, needed, got });
    }
    // Ranks stand for the numbers: equal numbers have equal ranks, 0 and -0 too.
    let mut ranks: Vec<(f64, f64)> = mid_ranks(first).into_iter().zip(mid_ranks(second)).collect();
    ranks.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let ties_in_first = Ties::of(ranks.chunk_by(|a, b| a.0 == b.0).map(<[_]>::len));
    let ties_in_both = Ties::of(ranks.chunk_by(|a, b| a == b).map(<[_]>::len));
    let mut by_second: Vec<f64> = ranks.iter().map(|pair| pair.1).collect();
    // Ties of the first list stand in ascending order, and so are not counted as inverted.
    let discordant = sort_counting_inversions(&mut by_second) as f64;
    let ties_in_second = Ties::of(by_second.chunk_by(|a, b| a == b).map(<[_]>::len));

    let n = ranks.len() as f64;
    let pairs = n * (n - 1.0) / 2.0;
    let untied_in_first = pairs - ties_in_first.pairs;
    let untied_in_second = pairs - ties_in_second.pairs;
    if untied_in_first == 0.0 || untied_in_second == 0.0 {
        return Err(StatisticsError::Constant { what: "a list to correlate" });
    }
    // Pairs that tie in neither list are alike or opposite.
    let untied = untied_in_first - ties_in_second.pairs + ties_in_both.pairs;
    let surplus = untied - 2.0 * discordant;
    let variance = surplus_variance(n, &ties_in_first, &ties_in_second);
    let z = surplus / variance.sqrt();
    Ok(Kendall {
        // The root of a square is exact, so that lists in full agreement have exactly 1.
        tau: (surplus / (untied_in_first * untied_in_second).sqrt()).clamp(-1.0, 1.0),
        p: (2.0 * Normal::standard().cdf(-z.abs())).min(1.0),
    })
}

/// Interval of Kendall's `τ_b`, by Fisher's transformation.
///
/// With `z` the two-sided critical value, the limits are
///
/// ```text
/// tanh( artanh(τ_b) ± z·sqrt( 0.437 / (n - 4) ) )
/// ```
///
/// Fieller, Hartley & Pearson 1957, "Tests for rank correlation coefficients. I", Biometrika 44,
/// 470–481, for normal pairs without ties; Bonett & Wright 2000, Psychometrika 65, 23–28, found the
/// variance to hold for true correlations up to 0.8 in absolute value. Lists with many ties are
/// outside both.
///
/// The interval does not exist with 4 pairs or fewer, where the variance is infinite or negative. At
/// `τ_b = ±1` the transformation is infinite and both limits are `τ_b`: that says nothing about what
/// other items would give.
///
/// # Errors
/// As [`kendall`], but [`StatisticsError::TooFew`] with fewer than 5 pairs.
pub fn kendall_interval(
    first: &[f64],
    second: &[f64],
    level: ConfidenceLevel,
) -> Result<Interval, StatisticsError> {
    let estimate = kendall(first, second)?.tau;
    let (needed, got) = (5, first.len());
    if got < needed {
        let what = "interval of kendall's correlation";
        return Err(StatisticsError::TooFew { what, needed, got });
    }
    Ok(fisher_interval(estimate, FIELLER_VARIANCE / (got - 4) as f64, level))
}

/// Sums over the groups of `t` equal numbers of a list.
struct Ties {
    /// `Σt(t-1)/2`, the number of tied pairs.
    pairs: f64,
    /// `Σt(t-1)(t-2)`.
    triples: f64,
    /// `Σt(t-1)(2t+5)`.
    spread: f64,
}

impl Ties {
    fn of(group_sizes: impl Iterator<Item = usize>) -> Self {
        let mut ties = Self { pairs: 0.0, triples: 0.0, spread: 0.0 };
        for size in group_sizes {
            let t = size as f64;
            ties.pairs += t * (t - 1.0) / 2.0;
            ties.triples += t * (t - 1.0) * (t - 2.0);
            ties.spread += t * (t - 1.0) * (2.0 * t + 5.0);
        }
        ties
    }
}

/// Variance of `C - D` when the lists are independent.
fn surplus_variance(n: f64, first: &Ties, second: &Ties) -> f64 {
    let ordered = n * (n - 1.0);
    (ordered * (2.0 * n + 5.0) - first.spread - second.spread) / 18.0
        + 2.0 * first.pairs * second.pairs / ordered
        + first.triples * second.triples / (9.0 * ordered * (n - 2.0))
}

/// Sorts by merging and counts the pairs that stood in descending order.
fn sort_counting_inversions(values: &mut [f64]) -> u64 {
    if values.len() < 2 {
        return 0;
    }
    let (left, right) = values.split_at_mut(values.len() / 2);
    let mut inversions = sort_counting_inversions(left) + sort_counting_inversions(right);
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut from_left, mut from_right) = (0, 0);
    while from_left < left.len() && from_right < right.len() {
        if left[from_left] <= right[from_right] {
            merged.push(left[from_left]);
            from_left += 1;
        } else {
            // It passes all that is still to come from the left.
            inversions += (left.len() - from_left) as u64;
            merged.push(right[from_right]);
            from_right += 1;
        }
    }
    merged.extend_from_slice(&left[from_left..]);
    merged.extend_from_slice(&right[from_right..]);
    values.copy_from_slice(&merged);
    inversions
}
