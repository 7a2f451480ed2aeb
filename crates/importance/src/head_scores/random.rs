//! `random` heads: the control that every grid carries.

use super::HeadScore;
use crate::{Draw, HeadMoments};

/// Seeded uniform numbers.
#[derive(Clone, Copy, Debug)]
pub struct RandomHeads;

impl HeadScore for RandomHeads {
    fn name(&self) -> &'static str {
        "random"
    }

    fn needs_text(&self) -> bool {
        false
    }

    fn score(&self, moments: &HeadMoments, draw: &Draw) -> Vec<f64> {
        draw.uniform(moments.magnitude.len())
    }
}
