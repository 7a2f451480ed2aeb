//! Bias-corrected and accelerated bootstrap (BCa): limits that follow a skewed distribution.

use statrs::distribution::{ContinuousCDF, Normal};

use crate::bootstrap::{check_plan, equal_weights, quantile, resampled_means};
use crate::error::{check_finite, checked_exp};
use crate::perplexity::paired_differences;
use crate::{BootstrapPlan, ConfidenceLevel, Interval, StatisticsError, WindowLoss, mean_nll_nats};

/// Two numbers closer than this, relative to the largest number at hand, differ by rounding only.
const ROUNDING: f64 = 64.0 * f64::EPSILON;

/// A BCa interval and the two numbers that moved its limits away from the percentile interval's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bca {
    /// The interval.
    pub interval: Interval,
    /// `z₀`, in standard normal units: 0 when half of the resamples lie below the estimate.
    pub bias_correction: f64,
    /// `a`: how fast the standard error changes with the quantity; 0 when nothing is skewed.
    pub acceleration: f64,
}

/// BCa limits from resampled values and leave-one-out values of the same quantity.
///
/// With `Φ` the standard normal distribution, the limits are the quantiles of `replicates` (linear
/// interpolation between order statistics) at
///
/// ```text
/// Φ( z₀ + (z₀ + z) / (1 - a·(z₀ + z)) )     for z = Φ⁻¹(α/2) and z = Φ⁻¹(1-α/2)
/// z₀ = Φ⁻¹( (replicates below the estimate + half of those equal to it) / replicates )
/// a  = Σuᵢ³ / ( 6·(Σuᵢ²)^(3/2) ),    uᵢ = mean of left_out - left_outᵢ
/// ```
///
/// Efron 1987, "Better bootstrap confidence intervals", JASA 82, 171–185; `a` by the jackknife as
/// in Efron & Tibshirani 1993, equation 14.15. Values that differ from the estimate by rounding
/// count as equal to it. A share below `1/replicates` ends at the smallest replicate, so that a
/// high level needs many.
///
/// # Errors
/// [`StatisticsError::Empty`] without replicates, [`StatisticsError::TooFew`] with fewer than 2
/// leave-one-out values, [`StatisticsError::NotFinite`], and [`StatisticsError::NoBca`] when the
/// leave-one-out values are all the same, all replicates lie on one side of the estimate, or the
/// acceleration is too large for the level (`a·(z₀ + z) ≥ 1`): then no such interval exists, and
/// the percentile interval is what can be shown.
pub fn bca_interval(
    replicates: &[f64],
    estimate: f64,
    left_out: &[f64],
    level: ConfidenceLevel,
) -> Result<Bca, StatisticsError> {
    if replicates.is_empty() {
        return Err(StatisticsError::Empty { what: "set of replicates" });
    }
    check_finite("replicate", replicates.iter().copied())?;
    check_finite("estimate", [estimate])?;
    check_finite("leave-one-out value", left_out.iter().copied())?;
    let acceleration = acceleration(left_out)?;
    let bias_correction = bias_correction(replicates, estimate)?;
    let normal = Normal::standard();
    let share = |z: f64| {
        let moved = bias_correction + z;
        let brake = 1.0 - acceleration * moved;
        if brake > 0.0 {
            Ok(normal.cdf(bias_correction + moved / brake))
        } else {
            Err(StatisticsError::NoBca { why: "the acceleration is too large for the level" })
        }
    };
    let z = level.critical_z();
    let (lower, upper) = (share(-z)?, share(z)?);
    let mut sorted = replicates.to_vec();
    sorted.sort_by(f64::total_cmp);
    let interval =
        Interval { lower: quantile(&sorted, lower), estimate, upper: quantile(&sorted, upper) };
    Ok(Bca { interval, bias_correction, acceleration })
}

/// BCa interval of the mean of `values`, each of which weighs the same.
///
/// Resamples are those of [`mean_interval`](crate::mean_interval) under the same plan, the limits
/// those of [`bca_interval`]. With `block_windows > 1` the jackknife leaves out one block of
/// consecutive values after the other (the last may be shorter), as the blockwise jackknife of
/// Künsch 1989, Annals of Statistics 17, 1217–1241, does with blocks that overlap. The correction
/// is then an approximation; with few blocks a rough one.
///
/// # Errors
/// As [`mean_interval`](crate::mean_interval), and [`StatisticsError::NoBca`] as [`bca_interval`],
/// in particular when all values are the same; [`StatisticsError::TooFew`] also when one block
/// holds all values.
pub fn mean_interval_bca(values: &[f64], plan: BootstrapPlan) -> Result<Bca, StatisticsError> {
    of_windows(&equal_weights(values), plan)
}

/// BCa interval of `perplexity(treated) / perplexity(baseline)` on the same windows.
///
/// Resamples are those of [`perplexity_ratio_interval`](crate::perplexity_ratio_interval) under the
/// same plan. Bias correction and acceleration are taken of `Σ ΔNLL / Σ targets`, the logarithm of
/// the ratio, and the limits are put through `exp`. Blocks are treated as in [`mean_interval_bca`].
///
/// # Errors
/// As [`perplexity_ratio_interval`](crate::perplexity_ratio_interval), and
/// [`StatisticsError::NoBca`] as [`bca_interval`], in particular when both policies lose the same
/// in every window; [`StatisticsError::TooFew`] also when one block holds all windows.
pub fn perplexity_ratio_interval_bca(
    baseline: &[WindowLoss],
    treated: &[WindowLoss],
    plan: BootstrapPlan,
) -> Result<Bca, StatisticsError> {
    let log_ratio = of_windows(&paired_differences(baseline, treated)?, plan)?;
    let ratio = |exponent| checked_exp("perplexity ratio", exponent);
    let interval = Interval {
        lower: ratio(log_ratio.interval.lower)?,
        estimate: ratio(log_ratio.interval.estimate)?,
        upper: ratio(log_ratio.interval.upper)?,
    };
    Ok(Bca { interval, ..log_ratio })
}

fn of_windows(windows: &[WindowLoss], plan: BootstrapPlan) -> Result<Bca, StatisticsError> {
    check_plan(windows, plan)?;
    let estimate = mean_nll_nats(windows)?;
    let left_out = left_out_means(windows, plan.block_windows);
    bca_interval(&resampled_means(windows, plan), estimate, &left_out, plan.level)
}

/// Mean per target without the first block, without the second, and so on; nothing when one block
/// is all there is.
fn left_out_means(windows: &[WindowLoss], block_windows: usize) -> Vec<f64> {
    let sums = |part: &[WindowLoss]| {
        part.iter().fold((0.0_f64, 0_u64), |(nll, targets), window| {
            (nll + window.nll_nats, targets + u64::from(window.n_targets))
        })
    };
    if block_windows >= windows.len() {
        return Vec::new();
    }
    let (nll, targets) = sums(windows);
    let blocks = windows.chunks(block_windows).map(sums);
    blocks.map(|(out, n_out)| (nll - out) / (targets - n_out) as f64).collect()
}

fn acceleration(left_out: &[f64]) -> Result<f64, StatisticsError> {
    if left_out.len() < 2 {
        let (what, needed, got) = ("jackknife of the BCa interval", 2, left_out.len());
        return Err(StatisticsError::TooFew { what, needed, got });
    }
    let mean = left_out.iter().map(|value| value / left_out.len() as f64).sum::<f64>();
    let influence: Vec<f64> = left_out.iter().map(|value| mean - value).collect();
    let widest = largest(&influence);
    if widest <= ROUNDING * largest(left_out) {
        return Err(StatisticsError::NoBca { why: "all values are the same" });
    }
    // Divided by the widest first, so that cubes neither overflow nor vanish.
    let (square, cube) = influence.iter().fold((0.0, 0.0), |(square, cube), value| {
        let scaled = value / widest;
        (square + scaled * scaled, cube + scaled * scaled * scaled)
    });
    Ok(cube / (6.0 * square.powf(1.5)))
}

fn bias_correction(replicates: &[f64], estimate: f64) -> Result<f64, StatisticsError> {
    let tie = ROUNDING * largest(replicates).max(estimate.abs());
    let halves: u64 = replicates
        .iter()
        .map(|replicate| match replicate - estimate {
            gap if gap.abs() <= tie => 1,
            gap if gap < 0.0 => 2,
            _ => 0,
        })
        .sum();
    let all = 2 * replicates.len() as u64;
    if halves == 0 || halves == all {
        return Err(StatisticsError::NoBca { why: "no resample lies on one side of the estimate" });
    }
    Ok(Normal::standard().inverse_cdf(halves as f64 / all as f64))
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}
