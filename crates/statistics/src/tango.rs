//! Tango's score interval for the difference of two paired proportions.

use statrs::distribution::{ContinuousCDF, Normal};

use crate::power::check_range;
use crate::{ConfidenceLevel, Interval, PairedCounts, StatisticsError};

/// Halvings of the interval that a limit lies in: past 60 it no longer moves an f64.
const BISECTIONS: usize = 80;

/// The score statistic of "the true difference `p_first - p_second` is `difference`".
///
/// With `b` items that only the first gets right, `c` that only the second does, of `n`:
///
/// ```text
/// T(δ) = (b - c - nδ) / sqrt( n·(2q + δ(1-δ)) )
/// q    = ( sqrt(B² - 4AC) - B ) / 2A,   A = 2n,  B = (2n - b + c)δ - b - c,  C = -cδ(1-δ)
/// ```
///
/// `q` is the likeliest share of items that only the second gets right, given δ. Tango 1998, "Equivalence
/// test and confidence interval for the difference in proportions for the paired-sample design", Statistics
/// in Medicine 17, 891–908. About standard normal where δ is true. Exchanging the two and turning δ turns its
/// sign. Without a discordant item and with δ = 0 it is 0.
///
/// # Errors
/// [`StatisticsError::Empty`] when there are no items; [`StatisticsError::OutOfRange`] unless
/// `-1 < difference < 1`.
pub fn tango_z(counts: PairedCounts, difference: f64) -> Result<f64, StatisticsError> {
    let is_fine = difference > -1.0 && difference < 1.0;
    check_range("difference of proportions", difference, "a number between -1 and 1", is_fine)?;
    if counts.items() == 0 {
        return Err(StatisticsError::Empty { what: "set of items" });
    }
    let (b, c) = (counts.only_first as f64, counts.only_second as f64);
    Ok(score(b, c, counts.items() as f64, difference))
}

/// [`tango_z`] of counts and a difference that are known to be fine.
pub(crate) fn score(b: f64, c: f64, n: f64, difference: f64) -> f64 {
    let product = difference * (1.0 - difference);
    let linear = (2.0 * n - b + c) * difference - b - c;
    let discriminant = linear.powi(2) + 8.0 * n * c * product;
    let q = ((discriminant.max(0.0).sqrt() - linear) / (4.0 * n)).max(0.0);
    let variance = n * (2.0 * q + product);
    let excess = b - c - n * difference;
    if excess == 0.0 { 0.0 } else { excess / variance.max(0.0).sqrt() }
}

/// Interval of `p_first - p_second` for two policies judged on the same items: every difference whose
/// [`tango_z`] is not extreme.
///
/// # Errors
/// [`StatisticsError::Empty`] when there are no items.
pub fn tango_interval(
    counts: PairedCounts,
    level: ConfidenceLevel,
) -> Result<Interval, StatisticsError> {
    if counts.items() == 0 {
        return Err(StatisticsError::Empty { what: "set of items" });
    }
    let (b, c, n) = (counts.only_first as f64, counts.only_second as f64, counts.items() as f64);
    let (estimate, z) = ((b - c) / n, level.critical_z());
    // The statistic falls as the difference rises.
    let limit = |end: f64, is_beyond: &dyn Fn(f64) -> bool| {
        let (mut inside, mut outside) = (estimate, end);
        for _ in 0..BISECTIONS {
            let middle = inside.midpoint(outside);
            if is_beyond(score(b, c, n, middle)) { outside = middle } else { inside = middle }
        }
        inside
    };
    let lower = limit(-1.0, &|found| found > z);
    let upper = limit(1.0, &|found| found < -z);
    Ok(Interval { lower, estimate, upper })
}

/// Two-sided p-value of "the difference is `difference`", of the same statistic.
///
/// # Errors
/// As [`tango_z`].
pub fn tango_p(counts: PairedCounts, difference: f64) -> Result<f64, StatisticsError> {
    let z = tango_z(counts, difference)?;
    Ok((2.0 * Normal::standard().cdf(-z.abs())).min(1.0))
}
