//! Block bootstrap: the interval of a perplexity ratio, paired over windows, and of a plain mean.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::{check_finite, checked_exp};
use crate::perplexity::paired_differences;
use crate::{ConfidenceLevel, Interval, StatisticsError, WindowLoss, mean_nll_nats};

/// How a bootstrap is run. There are no defaults: the caller states all of it, and the same plan
/// on the same windows gives the same limits on every machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BootstrapPlan {
    /// Number of resamples, at least 1; 10,000 settles the third digit of a limit's position.
    pub resamples: usize,
    /// Consecutive windows that are drawn together, at least 1. A window of text is itself a block
    /// of tokens, so 1 is enough unless losses of neighbouring windows depend on each other.
    pub block_windows: usize,
    /// Seed of the ChaCha generator.
    pub seed: u64,
    /// Confidence level of the interval.
    pub level: ConfidenceLevel,
}

/// Percentile interval of `perplexity(treated) / perplexity(baseline)` on the same windows.
///
/// Each resample draws whole windows with replacement, **the same ones for both policies**, and
/// takes `Σ ΔNLL / Σ targets` over what it drew; the limits are the quantiles of these numbers
/// (linear interpolation between order statistics), put through `exp`. Pairing removes the
/// differences between easy and hard windows, which are far larger than the effect.
///
/// Percentile method: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13.
/// With `block_windows > 1`: the circular block bootstrap of Politis & Romano 1992, in which the
/// last window is followed by the first so that every window is drawn equally often.
///
/// Few windows give too narrow an interval (with 4 the smallest possible resample has probability
/// 1/256); the caller shows the number of windows beside it. Exchanging the policies gives the
/// reciprocal interval.
///
/// # Errors
/// [`StatisticsError::TooFew`] with fewer than 2 windows or fewer windows than a block,
/// [`StatisticsError::OutOfRange`] for zero resamples or a zero block,
/// [`StatisticsError::UnequalLengths`] or [`StatisticsError::UnequalTargets`] when the windows are
/// not the same, [`StatisticsError::NotFinite`], [`StatisticsError::Overflow`], and
/// [`StatisticsError::Empty`] when a window has no targets.
pub fn perplexity_ratio_interval(
    baseline: &[WindowLoss],
    treated: &[WindowLoss],
    plan: BootstrapPlan,
) -> Result<Interval, StatisticsError> {
    let differences = paired_differences(baseline, treated)?;
    check_plan(&differences, plan)?;
    let estimate = mean_nll_nats(&differences)?;
    let means = resampled_means(&differences, plan);
    let tail = plan.level.tail();
    Ok(Interval {
        lower: checked_exp("perplexity ratio", quantile(&means, tail))?,
        estimate: checked_exp("perplexity ratio", estimate)?,
        upper: checked_exp("perplexity ratio", quantile(&means, 1.0 - tail))?,
    })
}

/// Percentile interval of the mean of `values`, each of which weighs the same.
///
/// The method is that of [`perplexity_ratio_interval`], without pairing and without `exp`. Few
/// values give too narrow an interval; the caller shows their number beside it.
///
/// # Errors
/// [`StatisticsError::TooFew`] with fewer than 2 values or fewer values than a block,
/// [`StatisticsError::OutOfRange`] for zero resamples or a zero block, and
/// [`StatisticsError::NotFinite`].
pub fn mean_interval(values: &[f64], plan: BootstrapPlan) -> Result<Interval, StatisticsError> {
    let alike = equal_weights(values);
    check_plan(&alike, plan)?;
    let estimate = mean_nll_nats(&alike)?;
    let means = resampled_means(&alike, plan);
    let tail = plan.level.tail();
    Ok(Interval { lower: quantile(&means, tail), estimate, upper: quantile(&means, 1.0 - tail) })
}

/// Each value as the loss of a window with one target: their mean over targets is the plain mean.
pub(crate) fn equal_weights(values: &[f64]) -> Vec<WindowLoss> {
    values.iter().map(|&value| WindowLoss { nll_nats: value, n_targets: 1 }).collect()
}

pub(crate) fn check_plan(
    differences: &[WindowLoss],
    plan: BootstrapPlan,
) -> Result<(), StatisticsError> {
    check_size(differences.len(), plan.block_windows.max(2), plan)?;
    check_windows(differences)
}

/// Refuses windows without targets and losses that are no numbers.
pub(crate) fn check_windows(differences: &[WindowLoss]) -> Result<(), StatisticsError> {
    if differences.iter().any(|window| window.n_targets == 0) {
        return Err(StatisticsError::Empty { what: "set of target tokens of a window" });
    }
    check_finite("difference of window losses", differences.iter().map(|window| window.nll_nats))
}

/// Refuses an empty plan, and fewer than `needed` of the windows that it would draw from.
pub(crate) fn check_size(
    windows: usize,
    needed: usize,
    plan: BootstrapPlan,
) -> Result<(), StatisticsError> {
    for (what, value) in
        [("number of resamples", plan.resamples), ("block of windows", plan.block_windows)]
    {
        if value == 0 {
            let expected = "at least 1";
            return Err(StatisticsError::OutOfRange { what, value: 0.0, expected });
        }
    }
    if windows < needed {
        return Err(StatisticsError::TooFew { what: "bootstrap", needed, got: windows });
    }
    Ok(())
}

/// Visits the positions of one resample: as many as there are windows, in circular blocks.
pub(crate) fn draw_windows(
    rng: &mut ChaCha8Rng,
    windows: usize,
    block_windows: usize,
    mut visit: impl FnMut(usize),
) {
    let mut drawn = 0;
    while drawn < windows {
        // Drawn as u64: a usize would draw other numbers on a 32-bit machine.
        let start = rng.random_range(0..windows as u64) as usize;
        let length = block_windows.min(windows - drawn);
        (0..length).for_each(|offset| visit((start + offset) % windows));
        drawn += length;
    }
}

/// Mean ΔNLL per target (nats) of each resample, in ascending order.
pub(crate) fn resampled_means(differences: &[WindowLoss], plan: BootstrapPlan) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
    let mut means: Vec<f64> = (0..plan.resamples)
        .map(|_| {
            let (mut nll, mut targets) = (0.0_f64, 0_u64);
            draw_windows(&mut rng, differences.len(), plan.block_windows, |position| {
                let window = differences[position];
                nll += window.nll_nats;
                targets += u64::from(window.n_targets);
            });
            nll / targets as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    means
}

/// Quantile of sorted values by linear interpolation between order statistics (type 7 of Hyndman &
/// Fan 1996). `sorted` is not empty and `share` is between 0 and 1.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let weight = position - below as f64;
    sorted[below] + weight * (sorted[above] - sorted[below])
}
