//! What a test of a perplexity ratio could have missed: the minimum detectable ratio.

use crate::bootstrap::check_windows;
use crate::error::checked_exp;
use crate::perplexity::paired_differences;
use crate::power::{check_range, critical_values};
use crate::{StatisticsError, WindowLoss, mean_nll_nats};

/// How much one window's difference varies, in nats a target: `σ` of the function below.
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
    checked_exp("minimum detectable ratio", needed_nats / (windows as f64).sqrt()).map(Some)
}

/// What `ln(ratio)·sqrt(n)` has to reach for the ratio to be found.
fn needed_nats(spread_nats: f64, alpha: f64, power: f64) -> Result<f64, StatisticsError> {
    let is_spread = spread_nats >= 0.0 && spread_nats.is_finite();
    check_range("spread of a perplexity ratio", spread_nats, "a number of at least 0", is_spread)?;
    let (z_alpha, z_power) = critical_values(alpha, power)?;
    Ok((z_alpha + z_power) * spread_nats)
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
