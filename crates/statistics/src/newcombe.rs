//! Newcombe's hybrid score interval for the difference of two paired proportions.

use crate::{ConfidenceLevel, Interval, PairedCounts, StatisticsError, wilson};

/// Interval of `p_first - p_second` for two policies judged on the same items.
///
/// Method 10 of Newcombe 1998, "Improved confidence intervals for the difference between binomial
/// proportions based on paired data", Statistics in Medicine 17, 2635–2650. With the Wilson limits
/// `l1, u1` and `l2, u2` of the two proportions and the table's cells `a` (both), `b` (only the
/// first), `c` (only the second), `d` (neither):
///
/// ```text
/// lower = (p1 - p2) - sqrt( (p1-l1)² - 2φ(p1-l1)(u2-p2) + (u2-p2)² )
/// upper = (p1 - p2) + sqrt( (u1-p1)² - 2φ(u1-p1)(p2-l2) + (p2-l2)² )
/// φ = C / sqrt((a+b)(c+d)(a+c)(b+d)),  0 when a margin is empty
/// C = ad-bc-n/2 where ad-bc > n/2,  0 where 0 ≤ ad-bc ≤ n/2,  ad-bc where it is negative
/// ```
///
/// Limits stay within -1 and 1. Exchanging the policies negates and exchanges the limits. Without
/// any discordant pair the estimate is 0 and the interval still has a width.
///
/// # Errors
/// [`StatisticsError::Empty`] when there are no items.
pub fn newcombe_paired(
    counts: PairedCounts,
    level: ConfidenceLevel,
) -> Result<Interval, StatisticsError> {
    let first = wilson(counts.first()?, level);
    let second = wilson(counts.second()?, level);
    let phi = continuity_corrected_phi(counts);
    let n = counts.items() as f64;
    let estimate = (counts.only_first as f64 - counts.only_second as f64) / n;
    let distance = |own: f64, other: f64| {
        (own * own - 2.0 * phi * own * other + other * other).max(0.0).sqrt()
    };
    let below = distance(first.estimate - first.lower, second.upper - second.estimate);
    let above = distance(first.upper - first.estimate, second.estimate - second.lower);
    Ok(Interval {
        lower: (estimate - below).max(-1.0),
        estimate,
        upper: (estimate + above).min(1.0),
    })
}

/// Two-sided p-value of "the difference is `difference`", by inverting [`newcombe_paired`]: the `1 - level`
/// at which a limit of the interval reaches it. None is told to be smaller than 10⁻¹⁵.
///
/// # Errors
/// [`StatisticsError::Empty`] when there are no items.
pub fn newcombe_paired_p(counts: PairedCounts, difference: f64) -> Result<f64, StatisticsError> {
    /// Halvings: enough for every bit of a p-value.
    const STEPS: usize = 60;
    /// No smaller p-value is told apart from it.
    const LEAST: f64 = 1e-15;
    let (mut inside, mut outside) = (LEAST, 1.0 - LEAST);
    let contains = |alpha: f64| {
        let level = ConfidenceLevel::new(1.0 - alpha)?;
        Ok::<bool, StatisticsError>(newcombe_paired(counts, level)?.contains(difference))
    };
    // A higher level is a wider interval: it contains the difference below p and not above.
    if !contains(inside)? {
        return Ok(LEAST);
    }
    for _ in 0..STEPS {
        let middle = inside.midpoint(outside);
        match contains(middle)? {
            true => inside = middle,
            false => outside = middle,
        }
    }
    Ok(inside)
}

/// Correlation of the two outcomes, pulled towards zero by half an item where it is positive.
fn continuity_corrected_phi(counts: PairedCounts) -> f64 {
    let [a, b, c, d] = [counts.both, counts.only_first, counts.only_second, counts.neither]
        .map(|count| count as f64);
    let margins = (a + b) * (c + d) * (a + c) * (b + d);
    if margins <= 0.0 {
        return 0.0;
    }
    let determinant = a * d - b * c;
    let half_n = (a + b + c + d) / 2.0;
    let corrected = if determinant > half_n {
        determinant - half_n
    } else if determinant >= 0.0 {
        0.0
    } else {
        determinant
    };
    corrected / margins.sqrt()
}
