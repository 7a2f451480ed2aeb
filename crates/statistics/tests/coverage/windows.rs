//! Bootstrap intervals and sign-flip tests of windows, simulated.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use statistics::{
    BootstrapPlan, ConfidenceLevel, PermutationPlan, WindowLoss, mean_interval, mean_interval_bca,
    minimum_detectable_ratio_paired, perplexity_ratio_interval, perplexity_ratio_p, sign_flip_test,
};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::{chance, normal, share};

fn plan(seed: u64, block_windows: usize) -> BootstrapPlan {
    BootstrapPlan { resamples: 399, block_windows, seed, level: ConfidenceLevel::P95 }
}

/// Baseline and treated windows whose true ratio is `exp(log_ratio)`: lengths and losses vary, and
/// the difference of a window by `spread` nats a target.
fn pair(
    rng: &mut ChaCha8Rng,
    windows: usize,
    log_ratio: f64,
    spread: f64,
) -> (Vec<WindowLoss>, Vec<WindowLoss>) {
    let draw = |_| {
        let n_targets = rng.random_range(700..1024_u32);
        let per_target = 3.0 + 0.4 * normal(rng);
        let change = log_ratio + spread * normal(rng);
        let loss =
            |per_target| WindowLoss { nll_nats: f64::from(n_targets) * per_target, n_targets };
        (loss(per_target), loss(per_target + change))
    };
    (0..windows).map(draw).unzip()
}

/// What the percentile interval of a mean of normal values covers: it has the normal quantile where
/// Student's belongs and a spread that divides by n: `P(|t| ≤ z·sqrt((n-1)/n))` with n-1 degrees of
/// freedom. Hesterberg 2015, The American Statistician 69, 371–386. 0.945 at 60 and 0.891 at 8.
fn percentile_coverage(windows: usize, level: ConfidenceLevel) -> f64 {
    let degrees = windows as f64 - 1.0;
    let student = StudentsT::new(0.0, 1.0, degrees).unwrap();
    1.0 - 2.0 * student.cdf(-level.critical_z() * (degrees / windows as f64).sqrt())
}

/// A point is allowed for 399 resamples and for lengths that vary.
#[test]
fn percentile_intervals_cover_what_theory_says_and_less_of_few_windows() {
    let repetitions = 2000;
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for windows in [8, 60] {
        let expected = percentile_coverage(windows, ConfidenceLevel::P95);
        let of_means = share(repetitions, |&seed| {
            let values: Vec<f64> = (0..windows).map(|_| normal(&mut rng)).collect();
            mean_interval(&values, plan(seed, 1)).unwrap().contains(0.0)
        });
        let of_ratios = share(repetitions, |&seed| {
            let (baseline, treated) = pair(&mut rng, windows, 0.2, 0.1);
            let found = perplexity_ratio_interval(&baseline, &treated, plan(seed, 1)).unwrap();
            found.contains(0.2_f64.exp())
        });
        let allowed = 0.01 + chance(expected, repetitions);
        assert!((of_means - expected).abs() < allowed, "{windows} values: {of_means}, {expected}");
        assert!((of_ratios - expected).abs() < allowed, "{windows} pairs: {of_ratios}, {expected}");
    }
    assert!(percentile_coverage(8, ConfidenceLevel::P95) < 0.9);
}

/// Windows that depend on the one before (a correlation of 0.5): single ones pretend to know three
/// times as much as they do, and blocks of 12 give most of it back. A block does not see what two
/// neighbouring blocks share, and so they still cover too little: Künsch 1989, Annals of Statistics
/// 17, 1217–1241.
#[test]
fn blocks_cover_what_single_windows_miss() {
    let repetitions = 1000;
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut coverage = |block| {
        share(repetitions, |&seed| {
            let mut last = normal(&mut rng) / 0.75_f64.sqrt();
            let values: Vec<f64> = (0..200)
                .map(|_| {
                    last = 0.5 * last + normal(&mut rng);
                    last
                })
                .collect();
            mean_interval(&values, plan(seed, block)).unwrap().contains(0.0)
        })
    };
    let (single, blocks) = (coverage(1), coverage(12));
    assert!((0.68..0.78).contains(&single), "{single}");
    assert!((0.86..0.93).contains(&blocks), "{blocks}");
}

/// The mean of 60 exponential values, of skewness 2. The error of BCa shrinks as `1/n`: one point of
/// coverage is allowed for it.
#[test]
fn bca_covers_the_mean_of_skewed_values() {
    let repetitions = 1500;
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let coverage = share(repetitions, |&seed| {
        let values: Vec<f64> = (0..60).map(|_| -(1.0 - rng.random::<f64>()).ln()).collect();
        let plan = BootstrapPlan { resamples: 999, ..plan(seed, 1) };
        mean_interval_bca(&values, plan).unwrap().interval.contains(1.0)
    });
    assert!((coverage - 0.95).abs() < 0.01 + chance(0.95, repetitions), "{coverage}");
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

/// 199 drawn assignments have exactly the level 10/200, and 8 visited windows the level 12/256, of
/// which the last is the largest below 0.05.
#[test]
fn a_ratio_at_its_threshold_is_rejected_as_often_as_the_level() {
    let repetitions = 4000;
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for (windows, expected) in [(8, 12.0 / 256.0), (30, 0.05)] {
        let rejected = share(repetitions, |&seed| {
            let (baseline, treated) = pair(&mut rng, windows, 1.5_f64.ln(), 0.2);
            let plan = PermutationPlan { permutations: 199, seed };
            perplexity_ratio_p(&baseline, &treated, 1.5, plan).unwrap().p <= 0.05
        });
        let allowed = chance(expected, repetitions);
        assert!((rejected - expected).abs() < allowed, "{windows} windows: {rejected}");
    }
}

/// The ratio that is said to be detectable with a power of 0.8 is detected as often, but for two
/// points that the normal approximation and 999 drawn assignments may cost.
#[test]
fn the_minimum_detectable_ratio_is_found_as_often_as_its_power() {
    let (repetitions, windows, spread, power) = (1000, 40, 0.1, 0.8);
    let ratio = minimum_detectable_ratio_paired(windows, spread, 0.05, power).unwrap().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    let found = share(repetitions, |&seed| {
        let (baseline, treated) = pair(&mut rng, windows as usize, ratio.ln(), spread);
        let plan = PermutationPlan { permutations: 999, seed };
        perplexity_ratio_p(&baseline, &treated, 1.0, plan).unwrap().p <= 0.05
    });
    assert!((found - power).abs() < 0.02 + chance(power, repetitions), "{found}");
}
