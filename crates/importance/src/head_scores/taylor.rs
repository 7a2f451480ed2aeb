//! `taylor` of a head: what the loss changes to first order when it is dropped.

use super::HeadScore;
use crate::{Draw, HeadMoments};

/// `|Σ_t g_th·o_th|` with `g = ∂(mean NLL)/∂o` (Michel et al. 2019, arXiv:1905.10650, section 4.1, which
/// takes the absolute value of every example; here it is taken of the sum over all tokens, as for neurons).
#[derive(Clone, Copy, Debug)]
pub struct HeadTaylor;

impl HeadScore for HeadTaylor {
    fn name(&self) -> &'static str {
        "taylor"
    }

    fn needs_text(&self) -> bool {
        true
    }

    fn needs_gradient(&self) -> bool {
        true
    }

    fn score(&self, moments: &HeadMoments, _: &Draw) -> Vec<f64> {
        moments.slope.iter().map(|slope| slope.abs()).collect()
    }
}
