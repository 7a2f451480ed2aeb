//! `magnitude` of a head: the size of what it gives.

use super::HeadScore;
use crate::{Draw, HeadMoments};

/// `Σ_t ‖o_th‖₂`.
#[derive(Clone, Copy, Debug)]
pub struct HeadMagnitude;

impl HeadScore for HeadMagnitude {
    fn name(&self) -> &'static str {
        "magnitude"
    }

    fn needs_text(&self) -> bool {
        true
    }

    fn score(&self, moments: &HeadMoments, _: &Draw) -> Vec<f64> {
        moments.magnitude.clone()
    }
}
