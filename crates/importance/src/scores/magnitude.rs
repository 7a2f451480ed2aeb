//! `magnitude`: the size of the activation.

use super::{RankedBy, Score, SiteWeights};
use crate::{Draw, Moments};

/// `Σ_t |h_ti|`: the cheap rule of "Two ways to slim a model" (Kyrillidis).
#[derive(Clone, Copy, Debug)]
pub struct Magnitude;

impl Score for Magnitude {
    fn name(&self) -> &'static str {
        "magnitude"
    }

    fn needs_text(&self) -> bool {
        true
    }

    fn order_in_one_token(&self) -> Option<RankedBy> {
        Some(RankedBy::Magnitude)
    }

    fn score(&self, _: &SiteWeights, moments: &Moments, _: &Draw) -> Vec<f64> {
        moments.magnitude.clone()
    }
}
