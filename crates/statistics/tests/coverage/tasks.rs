//! The bootstrap of a mean over tasks, simulated.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use statistics::{BootstrapPlan, ConfidenceLevel, Stratum, stratified_mean_interval};

use crate::chance;

/// Share that dense gets right of each task, and how often a recipe turns a right item wrong or a wrong one
/// right.
const TASKS: [(usize, f64, f64, f64); 4] =
    [(200, 0.7, 0.1, 0.05), (100, 0.45, 0.2, 0.1), (60, 0.25, 0.1, 0.05), (300, 0.5, 0.0, 0.1)];

fn number(is_right: bool) -> f64 {
    f64::from(u8::from(is_right))
}

/// What both get right of a task.
fn pair(rng: &mut ChaCha8Rng, (n, p, lost, won): (usize, f64, f64, f64)) -> (Vec<f64>, Vec<f64>) {
    let draw = |_| {
        let dense = rng.random_bool(p);
        let flips = rng.random_bool(if dense { lost } else { won });
        (number(dense), number(dense != flips))
    };
    (0..n).map(draw).unzip()
}

/// A point is allowed for 399 resamples and for tasks of 60 items, of which a bootstrap's spread is a little
/// too small.
#[test]
fn means_over_tasks_and_their_differences_are_covered() {
    let repetitions = 2000;
    let n = TASKS.len() as f64;
    let mean = TASKS.iter().map(|(_, p, ..)| p).sum::<f64>() / n;
    let change = |(_, p, lost, won): &(usize, f64, f64, f64)| (1.0 - p) * won - p * lost;
    let difference = TASKS.iter().map(change).sum::<f64>() / n;
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let (mut of_means, mut of_differences) = (0, 0);
    for seed in 0..repetitions {
        let level = ConfidenceLevel::P95;
        let plan = BootstrapPlan { resamples: 399, block_windows: 1, seed, level };
        let pairs = TASKS.map(|task| pair(&mut rng, task));
        let dense = pairs.clone().map(|(values, _)| Stratum { weight: 1.0, values });
        let paired = pairs.map(|(dense, own)| Stratum::of_differences(1.0, &own, &dense).unwrap());
        let covers = |strata: &[Stratum], truth| {
            u32::from(stratified_mean_interval(strata, plan).unwrap().contains(truth))
        };
        of_means += covers(&dense, mean);
        of_differences += covers(&paired, difference);
    }
    for covered in [of_means, of_differences] {
        let covered = f64::from(covered) / repetitions as f64;
        let allowed = 0.01 + chance(0.95, repetitions);
        assert!((covered - 0.95).abs() < allowed, "{covered} of 0.95 ± {allowed}");
    }
}
