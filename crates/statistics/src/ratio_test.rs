//! Test of a perplexity ratio against a stated threshold, paired over windows.

use crate::bootstrap::check_windows;
use crate::perplexity::paired_differences;
use crate::power::check_range;
use crate::{PermutationPlan, StatisticsError, WindowLoss, perplexity_ratio, sign_flip_test};

/// Outcome of a test of a perplexity ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RatioTest {
    /// The effect: perplexity of the treated divided by that of the baseline.
    pub ratio: f64,
    /// `ln(ratio) - ln(threshold)`, in nats a target: positive above the threshold.
    pub excess_nats: f64,
    /// Two-sided p-value of "the ratio is the threshold".
    pub p: f64,
    /// Whether all assignments of signs were visited, so that `p` has no random error.
    pub exact: bool,
    /// The least p-value that so many windows can reach, whatever the ratio.
    pub least_p: f64,
}

/// Is `perplexity(treated) / perplexity(baseline)` on the same windows equal to `threshold`?
///
/// The [`sign_flip_test`] of the windows' `(NLL_treated - NLL_baseline) - targets·ln(threshold)`:
/// their sum is `Σtargets·(ln(ratio) - ln(threshold))`, so the test's statistic is the ratio's
/// distance from the threshold. All assignments of signs are visited up to 16 windows, else those
/// of the plan. The null is that these numbers are symmetric about 0 and windows are independent;
/// it is tested with its level whatever their distribution.
///
/// A one-sided question ("more than 100 times") takes `p/2` where `excess_nats` has the sign that
/// was asked for, else `1 - p/2`: turning all signs mirrors the distribution. A threshold of 1 asks
/// whether the two differ at all. One window, or a ratio that is the threshold in every window,
/// gives 1.
///
/// # Errors
/// [`StatisticsError::OutOfRange`] for a threshold that is not positive and finite or a plan of zero
/// permutations, [`StatisticsError::Empty`] without windows or when a window has no targets,
/// [`StatisticsError::UnequalLengths`] or [`StatisticsError::UnequalTargets`] when the windows are
/// not the same, [`StatisticsError::NotFinite`], and [`StatisticsError::Overflow`].
pub fn perplexity_ratio_p(
    baseline: &[WindowLoss],
    treated: &[WindowLoss],
    threshold: f64,
    plan: PermutationPlan,
) -> Result<RatioTest, StatisticsError> {
    let positive = threshold > 0.0 && threshold.is_finite();
    check_range("threshold of a ratio", threshold, "a positive number", positive)?;
    let windows = paired_differences(baseline, treated)?;
    check_windows(&windows)?;
    let ratio = perplexity_ratio(baseline, treated)?;
    let excess: Vec<f64> = windows
        .iter()
        .map(|window| window.nll_nats - f64::from(window.n_targets) * threshold.ln())
        .collect();
    let found = sign_flip_test(&excess, plan)?;
    let targets: u64 = windows.iter().map(|window| u64::from(window.n_targets)).sum();
    Ok(RatioTest {
        ratio,
        excess_nats: excess.iter().sum::<f64>() / targets as f64,
        p: found.p,
        exact: found.exact,
        least_p: plan.least_p(windows.len()),
    })
}
