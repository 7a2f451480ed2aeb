//! `taylor`: what the loss changes to first order when the neuron is dropped.

use super::{Score, SiteWeights};
use crate::{Draw, Moments};

/// `|Σ_t g_ti·h_ti|` with `g = ∂(mean NLL)/∂h` (Molchanov et al. 2017, arXiv:1611.06440, equation 8, summed
/// over tokens before the absolute value).
#[derive(Clone, Copy, Debug)]
pub struct Taylor;

impl Score for Taylor {
    fn name(&self) -> &'static str {
        "taylor"
    }

    fn needs_text(&self) -> bool {
        true
    }

    fn needs_gradient(&self) -> bool {
        true
    }

    fn score(&self, _: &SiteWeights, moments: &Moments, _: &Draw) -> Vec<f64> {
        moments.slope.iter().map(|slope| slope.abs()).collect()
    }
}
