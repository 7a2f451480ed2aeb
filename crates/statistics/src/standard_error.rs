//! Standard errors of proportions, as lm-evaluation-harness 0.4.13 prints them beside its accuracies.
//!
//! Limits are better told by [`crate::wilson`]; these are here to be compared with what others printed.

use crate::Proportion;

/// `sqrt(p(1-p)/(n-1))`: the sample's standard deviation over `sqrt(n)`. A single trial has none.
pub fn proportion_stderr(proportion: Proportion) -> Option<f64> {
    let (p, n) = (proportion.value(), proportion.trials());
    (n > 1).then(|| (p * (1.0 - p) / (n - 1) as f64).sqrt())
}

/// The standard error of the mean over all trials of several parts, as the harness gives it for a group
/// whose mean weighs each part by its size (`pooled_sample_stderr`):
///
/// ```text
/// sqrt( [ Σ (n_k - 1) n_k s_k² / (Σ n_k - K) ] / Σ n_k )
/// ```
///
/// with s_k the standard error and n_k the size of part k. None without a part, and where a part has a
/// single trial, as there.
pub fn pooled_stderr(parts: &[Proportion]) -> Option<f64> {
    let (mut scatter, mut n) = (0.0, 0_u64);
    for &part in parts {
        let (size, stderr) = (part.trials(), proportion_stderr(part)?);
        scatter += (size - 1) as f64 * size as f64 * stderr * stderr;
        n += size;
    }
    let free = n.checked_sub(parts.len() as u64).filter(|free| *free > 0)?;
    Some((scatter / free as f64 / n as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(successes: u64, trials: u64) -> Proportion {
        Proportion::new(successes, trials).unwrap()
    }

    #[test]
    fn a_proportion_has_the_sample_standard_error() {
        // numpy: std([1] * 42 + [0] * 58, ddof=1) / sqrt(100)
        assert!(
            (proportion_stderr(of(42, 100)).unwrap() - 0.049_604_496_374_885_836).abs() < 1e-12
        );
        assert_eq!(proportion_stderr(of(0, 7)), Some(0.0));
        assert_eq!(proportion_stderr(of(1, 1)), None, "the harness divides by zero here");
    }

    #[test]
    fn parts_are_pooled_as_the_harness_does() {
        // lm_eval.api.metrics.pooled_sample_stderr([s1, s2], [30, 10]) of 12/30 and 8/10
        let pooled = pooled_stderr(&[of(12, 30), of(8, 10)]).unwrap();
        assert!((pooled - 0.076_088_591_025_268_22).abs() < 1e-12, "{pooled}");
        let alone = pooled_stderr(&[of(12, 30)]).unwrap();
        assert!((alone - proportion_stderr(of(12, 30)).unwrap()).abs() < 1e-15);
        assert_eq!(pooled_stderr(&[of(12, 30), of(1, 1)]), None);
        assert_eq!(pooled_stderr(&[]), None);
    }
}
