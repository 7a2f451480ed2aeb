//! How often intervals hold the truth and tests reject it: added up exactly where that is possible,
//! else simulated with a stated seed and a stated Monte-Carlo error.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use statistics::{
    BootstrapPlan, ConfidenceLevel, Interval, PermutationPlan, Proportion, clopper_pearson,
    mean_interval_bca, sign_flip_test, spearman_interval,
};
use statrs::distribution::{Binomial, ContinuousCDF, Discrete, Normal};

/// Whatever the true proportion, the interval misses it no more often than its level allows: the
/// probabilities of all counts whose interval holds the proportion, added up.
#[test]
fn clopper_pearson_covers_at_least_its_level_everywhere() {
    for (trials, level) in [(1, 0.95), (2, 0.9), (5, 0.95), (30, 0.9), (100, 0.95), (300, 0.99)] {
        let intervals: Vec<Interval> = (0..=trials)
            .map(|successes| {
                let count = Proportion::new(successes, trials).unwrap();
                clopper_pearson(count, ConfidenceLevel::new(level).unwrap())
            })
            .collect();
        for thousandth in 1..1000 {
            let truth = f64::from(thousandth) / 1000.0;
            let counts = Binomial::new(truth, trials).unwrap();
            let covering =
                (0..=trials).zip(&intervals).filter(|(_, limits)| limits.contains(truth));
            let coverage: f64 = covering.map(|(count, _)| counts.pmf(count)).sum();
            assert!(coverage >= level - 1e-9, "{trials} trials at {truth}: {coverage} < {level}");
        }
    }
}

/// Of all assignments of signs, no more than a share α has a p-value of at most α.
#[test]
fn sign_flips_reject_no_more_often_than_their_level() {
    let sizes = [0.0, 0.1, 0.2, 0.3, 0.3, 0.7, 1.1, 2.0, 3.5];
    let plan = PermutationPlan { permutations: 1, seed: 0 };
    let p_values: Vec<f64> = (0..1_u32 << sizes.len())
        .map(|signs| {
            let turned =
                |(bit, size): (usize, &f64)| if signs >> bit & 1 == 1 { -size } else { *size };
            let differences: Vec<f64> = sizes.iter().enumerate().map(turned).collect();
            sign_flip_test(&differences, plan).unwrap().p
        })
        .collect();
    for &alpha in &p_values {
        let rejected = p_values.iter().filter(|&&p| p <= alpha).count();
        assert!(rejected as f64 / p_values.len() as f64 <= alpha);
    }
}

/// The mean of 60 exponential values, of skewness 2. The error of BCa shrinks as `1/n`: one point of
/// coverage is allowed for it, and four standard errors of 1,500 repetitions (0.0056 each).
#[test]
fn bca_covers_the_mean_of_skewed_values() {
    let repetitions = 1500;
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let holds = (0..repetitions).filter(|&seed| {
        let values: Vec<f64> = (0..60).map(|_| -(1.0 - rng.random::<f64>()).ln()).collect();
        let level = ConfidenceLevel::P95;
        let plan = BootstrapPlan { resamples: 999, block_windows: 1, seed, level };
        mean_interval_bca(&values, plan).unwrap().interval.contains(1.0)
    });
    let coverage = holds.count() as f64 / repetitions as f64;
    assert!((coverage - 0.95).abs() < 0.01 + 4.0 * 0.0056, "{coverage}");
}

/// Pairs of normal values with correlation ρ have the rank correlation `6/π·asin(ρ/2)`. 4,000
/// repetitions have a standard error of 0.0034; half a point is allowed for the approximation.
#[test]
fn spearmans_interval_covers_the_rank_correlation_of_normal_pairs() {
    let (repetitions, pairs) = (4000, 50);
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut draw = || Normal::standard().inverse_cdf(rng.random_range(1e-12..1.0));
    for rho in [0.0, 0.5, -0.8] {
        let truth = 6.0 / std::f64::consts::PI * f64::asin(rho / 2.0);
        let holds = (0..repetitions).filter(|_| {
            let (first, second): (Vec<f64>, Vec<f64>) = (0..pairs)
                .map(|_| {
                    let (x, other) = (draw(), draw());
                    (x, rho * x + f64::sqrt(1.0 - rho * rho) * other)
                })
                .unzip();
            spearman_interval(&first, &second, ConfidenceLevel::P95).unwrap().contains(truth)
        });
        let coverage = holds.count() as f64 / f64::from(repetitions);
        assert!((coverage - 0.95).abs() < 0.005 + 4.0 * 0.0034, "rho {rho}: {coverage}");
    }
}
