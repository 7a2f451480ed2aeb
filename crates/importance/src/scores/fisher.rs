//! `fisher`: the same per token, squared, so that tokens do not cancel.

use super::{Score, SiteWeights};
use crate::{Draw, Moments};

/// `Σ_t (g_ti·h_ti)²` with `g = ∂(mean NLL)/∂h`: the diagonal of the empirical Fisher information of a
/// factor on the neuron (Theis et al. 2018, arXiv:1801.05787, equation 6, up to a constant).
#[derive(Clone, Copy, Debug)]
pub struct Fisher;

impl Score for Fisher {
    fn name(&self) -> &'static str {
        "fisher"
    }

    fn needs_text(&self) -> bool {
        true
    }

    fn needs_gradient(&self) -> bool {
        true
    }

    fn score(&self, _: &SiteWeights, moments: &Moments, _: &Draw) -> Vec<f64> {
        moments.slope_squared.clone()
    }
}
