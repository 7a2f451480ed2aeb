//! `weight`: the length of the weights that leave the neuron.

use super::{Score, SiteWeights};
use crate::{Draw, Moments};

/// `‖w_i‖₂`; no text is needed.
#[derive(Clone, Copy, Debug)]
pub struct Weight;

impl Score for Weight {
    fn name(&self) -> &'static str {
        "weight"
    }

    fn needs_text(&self) -> bool {
        false
    }

    fn score(&self, weights: &SiteWeights, _: &Moments, _: &Draw) -> Vec<f64> {
        weights.l2.iter().map(|w| f64::from(*w)).collect()
    }
}
