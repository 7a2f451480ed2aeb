//! `random`: the control that every grid carries.

use super::{StateScore, StateWeights};
use crate::{Draw, StateMoments};

/// Seeded uniform numbers, drawn anew wherever a kept set is chosen.
#[derive(Clone, Copy, Debug)]
pub struct RandomChannels;

impl StateScore for RandomChannels {
    fn name(&self) -> &'static str {
        "random"
    }

    fn needs_text(&self) -> bool {
        false
    }

    fn score(&self, weights: &StateWeights, _: &StateMoments, draw: &Draw) -> Vec<f64> {
        draw.uniform(weights.read.len())
    }
}
