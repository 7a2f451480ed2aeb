//! How often intervals hold the truth and tests reject it: added up exactly where all outcomes can
//! be visited, else simulated with a stated seed and a stated Monte-Carlo error.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod dial;
mod equivalence;
mod proportions;
mod tasks;
mod windows;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{ContinuousCDF, Normal};

/// A standard normal number.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    Normal::standard().inverse_cdf(rng.random_range(1e-12..1.0))
}

/// The share of `repetitions` for which `holds`, given their numbers from 0.
fn share(repetitions: u64, holds: impl FnMut(&u64) -> bool) -> f64 {
    (0..repetitions).filter(holds).count() as f64 / repetitions as f64
}

/// Four standard errors of a share that is `expected` and was counted over so many repetitions.
fn chance(expected: f64, repetitions: u64) -> f64 {
    4.0 * (expected * (1.0 - expected) / repetitions as f64).sqrt()
}
