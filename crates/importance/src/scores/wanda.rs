//! `wanda`: Wanda summed over the outputs of a neuron.

use super::{Score, SiteWeights};
use crate::{Draw, Moments};

/// `‖h_·i‖₂·‖w_i‖₁`: Wanda's `‖X_j‖₂·|W_ij|` (Sun et al. 2023, arXiv:2306.11695, equation 1) summed over
/// the outputs, so that it ranks neurons and not single weights.
#[derive(Clone, Copy, Debug)]
pub struct Wanda;

impl Score for Wanda {
    fn name(&self) -> &'static str {
        "wanda"
    }

    fn needs_text(&self) -> bool {
        true
    }

    fn score(&self, weights: &SiteWeights, moments: &Moments, _: &Draw) -> Vec<f64> {
        moments.energy.iter().zip(&weights.l1).map(|(e, w)| e.sqrt() * f64::from(*w)).collect()
    }
}
