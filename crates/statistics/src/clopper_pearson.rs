//! Clopper and Pearson's exact interval of one proportion.

use statrs::distribution::{Beta, ContinuousCDF};

use crate::{ConfidenceLevel, Interval, Proportion};

/// Exact interval of a proportion: the values that neither one-sided binomial test at `α/2` rejects.
///
/// With `x` successes in `n` trials, `α = 1 - level` and `B(q; a, b)` the quantile of the beta
/// distribution, the limits are
///
/// ```text
/// lower = B( α/2; x, n-x+1 )      upper = B( 1-α/2; x+1, n-x )
/// ```
///
/// Clopper & Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the
/// binomial", Biometrika 26, 404–413. It covers the true proportion with at least the nominal
/// probability, whatever that proportion is, and is therefore wider than [`wilson`](crate::wilson),
/// which covers it on average.
///
/// The lower limit of no successes is exactly 0 and the upper limit of all successes exactly 1, as
/// the paper has it. No trials have no [`Proportion`]. Limits are right to 1e-10.
pub fn clopper_pearson(proportion: Proportion, level: ConfidenceLevel) -> Interval {
    let successes = proportion.successes();
    let failures = proportion.trials() - successes;
    let tail = level.tail();
    let lower = if successes == 0 { 0.0 } else { beta_quantile(successes, failures + 1, tail) };
    // By symmetry the quantile of a small tail, which keeps the digits that `1 - tail` loses.
    let upper =
        if failures == 0 { 1.0 } else { 1.0 - beta_quantile(failures, successes + 1, tail) };
    Interval { lower, estimate: proportion.value(), upper }
}

fn beta_quantile(a: u64, b: u64, share: f64) -> f64 {
    Beta::new(a as f64, b as f64).expect("both counts are at least 1").inverse_cdf(share)
}
