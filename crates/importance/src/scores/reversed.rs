//! `reversed`: the control that keeps what `magnitude` would drop.

use super::{RankedBy, Score, SiteWeights};
use crate::{Draw, Moments};

/// `−Σ_t |h_ti|`.
#[derive(Clone, Copy, Debug)]
pub struct Reversed;

impl Score for Reversed {
    fn name(&self) -> &'static str {
        "reversed"
    }

    fn needs_text(&self) -> bool {
        true
    }

    fn order_in_one_token(&self) -> Option<RankedBy> {
        Some(RankedBy::MinusMagnitude)
    }

    fn score(&self, _: &SiteWeights, moments: &Moments, _: &Draw) -> Vec<f64> {
        // Subtracted from zero, so that an inactive neuron scores 0 and not −0.
        moments.magnitude.iter().map(|m| 0.0 - m).collect()
    }
}
