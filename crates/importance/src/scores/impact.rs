//! `impact`: what the block loses without the neuron.

use super::{Score, SiteWeights};
use crate::{Draw, Moments};

/// `Σ_t |h_ti|·‖w_i‖₂`: exactly the change of the block's output when the neuron alone is dropped.
#[derive(Clone, Copy, Debug)]
pub struct Impact;

impl Score for Impact {
    fn name(&self) -> &'static str {
        "impact"
    }

    fn needs_text(&self) -> bool {
        true
    }

    fn score(&self, weights: &SiteWeights, moments: &Moments, _: &Draw) -> Vec<f64> {
        moments.magnitude.iter().zip(&weights.l2).map(|(m, w)| m * f64::from(*w)).collect()
    }
}
