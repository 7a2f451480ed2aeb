//! Two proportions of **different** samples: the pooled z test and Fisher's exact test.
//!
//! Two policies on the same items are paired, and McNemar's test is the one to use. These two are
//! reported beside it because the published p-values are of this kind.

use statrs::distribution::{ContinuousCDF, Discrete, Hypergeometric, Normal};

use crate::Proportion;

/// Relative slack within which two table probabilities count as equal in Fisher's test.
///
/// Tables that mirror each other have equal probability but come out of different sums of
/// logarithms; R uses the same device with the same size.
const FISHER_TIE_SLACK: f64 = 1e-7;

/// Outcome of the pooled two-proportion z test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PooledZ {
    /// The statistic, positive where the first proportion is larger.
    pub z: f64,
    /// Two-sided p-value.
    pub p: f64,
}

/// Pooled two-proportion z test, two-sided, without continuity correction.
///
/// `z = (p1 - p2) / sqrt( p(1-p)·(1/n1 + 1/n2) )` with `p` the pooled proportion; `z²` is Pearson's
/// chi-square of the four-fold table. Where all trials of both samples agree (the pooled
/// proportion is 0 or 1) the two are equal: z = 0, p = 1.
pub fn pooled_z(first: Proportion, second: Proportion) -> PooledZ {
    let (n1, n2) = (first.trials() as f64, second.trials() as f64);
    let successes = first.successes() + second.successes();
    let trials = first.trials() + second.trials();
    if successes == 0 || successes == trials {
        return PooledZ { z: 0.0, p: 1.0 };
    }
    let pooled = successes as f64 / trials as f64;
    let standard_error = (pooled * (1.0 - pooled) * (1.0 / n1 + 1.0 / n2)).sqrt();
    let z = (first.value() - second.value()) / standard_error;
    PooledZ { z, p: (2.0 * Normal::standard().sf(z.abs())).min(1.0) }
}

/// Fisher's exact test of equal proportions, two-sided.
///
/// Given all margins, the successes of the first sample follow a hypergeometric distribution; the
/// p-value is the probability of all tables that are no likelier than the observed one. Fisher
/// 1935, JRSS 98, 39–54; the two-sided rule is that of R and scipy. Where all trials of both
/// samples agree there is one possible table and p = 1; below 1e-323 it is 0.
pub fn fisher_exact_p(first: Proportion, second: Proportion) -> f64 {
    let successes = first.successes() + second.successes();
    let trials = first.trials() + second.trials();
    let tables = Hypergeometric::new(trials, successes, first.trials())
        .expect("successes and first trials are part of all trials");
    let smallest = successes.saturating_sub(second.trials());
    let largest = successes.min(first.trials());
    // Through logarithms: the binomial coefficients of 10,000 items do not fit into an f64.
    let mass = |count: u64| tables.ln_pmf(count).exp();
    let limit = mass(first.successes()) * (1.0 + FISHER_TIE_SLACK);
    let total: f64 = (smallest..=largest).map(mass).filter(|&mass| mass <= limit).sum();
    total.min(1.0)
}
