//! Page's test of a trend: do losses rise along a dial, each window by itself?

use statrs::distribution::{ContinuousCDF, Normal};

use crate::correlation::mid_ranks;
use crate::{Dial, StatisticsError};

/// Outcome of Page's trend test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PageTrend {
    /// `L`: the sum over levels of the level's number from 1 times the sum of its ranks.
    pub l: f64,
    /// How many standard deviations `L` lies above what no trend would give.
    pub z: f64,
    /// One-sided p-value of "no trend" against "losses rise along the dial".
    pub p: f64,
}

/// Page's `L` test of ordered alternatives, with windows as blocks and the normal approximation.
///
/// In each of the `n` windows the `K` levels are ranked by their loss, equal losses sharing the mean
/// of their ranks. With `R_k` the sum of level k's ranks:
///
/// ```text
/// L = Σ k·R_k        E(L) = n·K(K+1)²/4        z = (L - E(L)) / sqrt(V(L))
/// V(L) = Σ over windows of Σ(k - k̄)²·Σ(rank - r̄)² / (K - 1)   = n·K²(K+1)²(K-1)/144 without ties
/// ```
///
/// Page 1963, "Ordered hypotheses for multiple treatments: a significance test for linear ranks",
/// JASA 58, 216–230. The null is that in every window all orders of the levels are equally likely
/// and windows are independent. A window has one vote, whether its loss rises by 0.01 or by 5 nats,
/// so that a few hard windows of a collapsed model decide nothing; how far the loss rises from the
/// first level to the last is what [`perplexity_ratio_p`](crate::perplexity_ratio_p) asks. A trend
/// is a rise on the whole: it does not say that the dial falls nowhere, which
/// [`monotone_test`](crate::monotone_test) asks.
///
/// The distribution of `L` is symmetric and bounded, and the normal one far out in the tail is the
/// larger: with `K = 3` and 3 windows that agree `p` is 0.007 and exactly it is 0.005. Where no
/// window tells any two levels apart there is nothing to rank: z = 0, p = 1.
///
/// # Errors
/// [`StatisticsError::TooFew`] with fewer than 3 levels (two are a pair, not a trend) or fewer than
/// 2 windows.
pub fn page_trend(dial: &Dial) -> Result<PageTrend, StatisticsError> {
    for (what, needed, got) in
        [("trend over levels", 3, dial.levels()), ("trend over windows", 2, dial.windows())]
    {
        if got < needed {
            return Err(StatisticsError::TooFew { what, needed, got });
        }
    }
    let levels = dial.levels() as f64;
    let middle = f64::midpoint(1.0, levels);
    let spread_of_levels = levels * (levels * levels - 1.0) / 12.0;
    let (mut surplus, mut variance) = (0.0, 0.0);
    for window in 0..dial.windows() {
        let mut spread_of_ranks = 0.0;
        for (below, rank) in mid_ranks(&dial.of_window(window)).into_iter().enumerate() {
            let from_middle = rank - middle;
            surplus += (below as f64 + 1.0 - middle) * from_middle;
            spread_of_ranks += from_middle * from_middle;
        }
        variance += spread_of_levels * spread_of_ranks / (levels - 1.0);
    }
    let expected = dial.windows() as f64 * levels * middle * middle;
    let l = expected + surplus;
    if variance == 0.0 {
        return Ok(PageTrend { l, z: 0.0, p: 1.0 });
    }
    let z = surplus / variance.sqrt();
    Ok(PageTrend { l, z, p: Normal::standard().sf(z) })
}
