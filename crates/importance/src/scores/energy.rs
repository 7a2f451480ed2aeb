//! `energy`: variance of the activation about zero.

use super::{RankedBy, Score, SiteWeights};
use crate::{Draw, Moments};

/// `Σ_t h_ti²`.
#[derive(Clone, Copy, Debug)]
pub struct Energy;

impl Score for Energy {
    fn name(&self) -> &'static str {
        "energy"
    }

    fn needs_text(&self) -> bool {
        true
    }

    fn order_in_one_token(&self) -> Option<RankedBy> {
        Some(RankedBy::Magnitude)
    }

    fn score(&self, _: &SiteWeights, moments: &Moments, _: &Draw) -> Vec<f64> {
        moments.energy.clone()
    }
}
