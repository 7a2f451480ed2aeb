//! `impact` of a head: what the attention loses without it.

use super::HeadScore;
use crate::{Draw, HeadMoments};

/// `Σ_t ‖W_o[:, h]·o_th‖₂`: exactly the change of the attention's output when the head alone is dropped.
#[derive(Clone, Copy, Debug)]
pub struct HeadImpact;

impl HeadScore for HeadImpact {
    fn name(&self) -> &'static str {
        "impact"
    }

    fn needs_text(&self) -> bool {
        true
    }

    fn score(&self, moments: &HeadMoments, _: &Draw) -> Vec<f64> {
        moments.impact.clone()
    }
}
