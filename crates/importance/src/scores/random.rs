//! `random`: the control that every grid carries.

use super::{Score, SiteWeights};
use crate::{Draw, Moments};

/// Seeded uniform numbers, drawn anew wherever a kept set is chosen.
#[derive(Clone, Copy, Debug)]
pub struct Random;

impl Score for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn needs_text(&self) -> bool {
        false
    }

    fn score(&self, weights: &SiteWeights, _: &Moments, draw: &Draw) -> Vec<f64> {
        draw.uniform(weights.l2.len())
    }
}
