//! Learning rate and penalty coefficient as functions of the step, and of nothing else.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// Linear warm-up, then half a cosine down to a share of the peak (Loshchilov & Hutter 2017,
/// arXiv:1608.03983, without restarts).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearningRate {
    /// Learning rate at the end of the warm-up.
    pub peak: f64,
    /// Steps over which it rises.
    pub warmup_steps: usize,
    /// What is left of the peak at the last step, from 0 to 1.
    pub final_share: f64,
}

impl LearningRate {
    /// The rate of a step, counted from 0, of a run of `steps`.
    pub fn at(&self, step: usize, steps: usize) -> f64 {
        if step < self.warmup_steps {
            return self.peak * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let left = (steps - self.warmup_steps).max(2) - 1;
        let done = (step - self.warmup_steps) as f64 / left as f64;
        let cosine = 0.5 * (1.0 + (PI * done.min(1.0)).cos());
        self.peak * (self.final_share + (1.0 - self.final_share) * cosine)
    }
}

/// A linear rise from nothing to 1 between two steps.
pub(crate) fn ramp(step: usize, from: usize, over: usize) -> f64 {
    if step < from {
        return 0.0;
    }
    match over {
        0 => 1.0,
        _ => ((step - from + 1) as f64 / over as f64).min(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_to_the_peak_and_falls_to_its_share() {
        let rate = LearningRate { peak: 2e-3, warmup_steps: 10, final_share: 0.1 };
        let all: Vec<f64> = (0..100).map(|step| rate.at(step, 100)).collect();
        assert_eq!((all[0], all[9], all[10]), (2e-4, 2e-3, 2e-3));
        assert!(all[..10].is_sorted() && all[10..].is_sorted_by(|a, b| a >= b), "{all:?}");
        assert!((all[99] - 2e-4).abs() < 1e-12, "{}", all[99]);
    }

    #[test]
    fn a_ramp_is_nothing_then_all() {
        assert_eq!([0, 9, 10, 14, 19, 30].map(|s| ramp(s, 10, 10)), [0.0, 0.0, 0.1, 0.5, 1.0, 1.0]);
        assert_eq!(ramp(0, 0, 0), 1.0);
    }
}
