//! What a test of a perplexity ratio could have missed: the minimum detectable ratio, and the number
//! of windows that a ratio needs.

use crate::bootstrap::check_windows;
use crate::error::checked_exp;
use crate::perplexity::paired_differences;
use crate::power::{MOST_ITEMS, check_range, critical_values};
use crate::{StatisticsError, WindowLoss, mean_nll_nats};

/// How much one window's difference varies, in nats a target: `σ` of the two functions below.
///
/// With `d` the differences `NLL_treated - NLL_baseline` of `n` windows, `t` their targets and
/// `δ = Σd / Σt` the logarithm of the ratio:
///
/// ```text
/// σ = sqrt( Σ(dᵢ - tᵢ·δ)² / (n - 1) ) / t̄        standard error of δ = σ / sqrt(n)
/// ```
///
/// Cochran 1977, "Sampling Techniques", equation 2.39 (the ratio of two sums); with windows of equal
/// length it is the standard deviation of `d/t`.
///
/// # Errors
/// [`StatisticsError::TooFew`] with fewer than 2 windows, [`StatisticsError::UnequalLengths`] or
/// [`StatisticsError::UnequalTargets`] when the windows are not the same,
/// [`StatisticsError::NotFinite`], and [`StatisticsError::Empty`] when a window has no targets.
pub fn ratio_spread_nats(
    baseline: &[WindowLoss],
    treated: &[WindowLoss],
) -> Result<f64, StatisticsError> {
    let windows = paired_differences(baseline, treated)?;
    if windows.len() < 2 {
        let (what, needed, got) = ("spread of a perplexity ratio", 2, windows.len());
        return Err(StatisticsError::TooFew { what, needed, got });
    }
    check_windows(&windows)?;
    let log_ratio = mean_nll_nats(&windows)?;
    let count = windows.len() as f64;
    let mean_targets =
        windows.iter().map(|window| f64::from(window.n_targets)).sum::<f64>() / count;
    let squares: f64 = windows
        .iter()
        .map(|window| (window.nll_nats - f64::from(window.n_targets) * log_ratio).powi(2))
        .sum();
    Ok((squares / (count - 1.0)).sqrt() / mean_targets)
}

/// Smallest perplexity ratio above 1 that a paired test over so many windows would tell from 1; its
/// reciprocal is the largest below 1.
///
/// ```text
/// ratio = exp( (z(1-α/2) + z(power))·σ / sqrt(n) )
/// ```
///
/// with `spread_nats` σ of [`ratio_spread_nats`]: the normal approximation, which leaves out the
/// chance of finding the opposite. From a threshold other than 1 it is a factor on the threshold.
/// Fewer than some 20 windows need a larger ratio than it says.
///
/// `Ok(None)` when the exact sign-flip test ([`perplexity_ratio_p`](crate::perplexity_ratio_p))
/// cannot reach `alpha` with so few windows, `2^(1-n) > α`: five at 0.05. Without any spread every
/// difference is found, and the ratio is 1.
///
/// # Errors
/// [`StatisticsError::Empty`] for no windows; [`StatisticsError::OutOfRange`] unless
/// `spread_nats` is a number of at least 0, `0 < alpha < 1` and `0.5 ≤ power < 1`;
/// [`StatisticsError::Overflow`] when the ratio is no f64.
pub fn minimum_detectable_ratio_paired(
    windows: u64,
    spread_nats: f64,
    alpha: f64,
    power: f64,
) -> Result<Option<f64>, StatisticsError> {
    if windows == 0 {
        return Err(StatisticsError::Empty { what: "set of windows" });
    }
    let needed_nats = needed_nats(spread_nats, alpha, power)?;
    if windows < least_windows(alpha) {
        return Ok(None);
    }
    checked_exp("minimum detectable ratio", detectable_nats(needed_nats, windows)).map(Some)
}

/// Smallest number of windows with which a paired test would tell a perplexity ratio from 1: the
/// first whose [`minimum_detectable_ratio_paired`] is no larger.
///
/// ```text
/// n = ⌈ ( (z(1-α/2) + z(power))·σ / ln(ratio) )² ⌉,  but at least 1 + ⌈log₂(1/α)⌉
/// ```
///
/// with `spread_nats` σ of [`ratio_spread_nats`]; a ratio and its reciprocal need the same. From a
/// threshold other than 1, `ratio` is the ratio divided by the threshold. The least number is what
/// the exact sign-flip test needs to reach `alpha` at all: six at 0.05.
///
/// # Errors
/// [`StatisticsError::OutOfRange`] unless `ratio` is positive, finite and not 1, `spread_nats` a
/// number of at least 0, `0 < alpha < 1` and `0.5 ≤ power < 1`, and for a ratio so close to 1 that
/// 2⁴⁰ windows are too few.
pub fn windows_needed_paired(
    ratio: f64,
    spread_nats: f64,
    alpha: f64,
    power: f64,
) -> Result<u64, StatisticsError> {
    let possible = ratio > 0.0 && ratio.is_finite() && ratio != 1.0;
    check_range("perplexity ratio", ratio, "a positive number other than 1", possible)?;
    let needed_nats = needed_nats(spread_nats, alpha, power)?;
    let size = if ratio < 1.0 { ratio.recip() } else { ratio };
    // What the minimum detectable ratio says of so many windows, so that no rounding of a quotient
    // stands between the two.
    let is_found = |windows: u64| detectable_nats(needed_nats, windows).exp() <= size;
    let (mut fewest, mut enough) = (least_windows(alpha), MOST_ITEMS as u64);
    let expected = "far enough from 1 to be found with 2 to the power of 40 windows";
    check_range("perplexity ratio", ratio, expected, is_found(enough))?;
    while fewest < enough {
        let middle = u64::midpoint(fewest, enough);
        if is_found(middle) { enough = middle } else { fewest = middle + 1 }
    }
    Ok(enough)
}

/// What `ln(ratio)·sqrt(n)` has to reach for the ratio to be found.
fn needed_nats(spread_nats: f64, alpha: f64, power: f64) -> Result<f64, StatisticsError> {
    let is_spread = spread_nats >= 0.0 && spread_nats.is_finite();
    check_range("spread of a perplexity ratio", spread_nats, "a number of at least 0", is_spread)?;
    let (z_alpha, z_power) = critical_values(alpha, power)?;
    Ok((z_alpha + z_power) * spread_nats)
}

/// The logarithm of the ratio that so many windows find.
fn detectable_nats(needed_nats: f64, windows: u64) -> f64 {
    needed_nats / (windows as f64).sqrt()
}

/// Smallest `n` with `2^(1-n) ≤ alpha`.
fn least_windows(alpha: f64) -> u64 {
    let mut windows = 1;
    let mut least_p = 1.0;
    while least_p > alpha {
        least_p /= 2.0;
        windows += 1;
    }
    windows
}
