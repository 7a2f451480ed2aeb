//! `state-weight`: the magnitude baseline, blind to text.

use super::{StateScore, StateWeights};
use crate::{Draw, StateMoments};

/// `‖W_B[n]‖₂·‖W_C[n]‖₂`.
#[derive(Clone, Copy, Debug)]
pub struct StateWeight;

impl StateScore for StateWeight {
    fn name(&self) -> &'static str {
        "state-weight"
    }

    fn needs_text(&self) -> bool {
        false
    }

    fn score(&self, weights: &StateWeights, _: &StateMoments, _: &Draw) -> Vec<f64> {
        weights.write.iter().zip(&weights.read).map(|(write, read)| write * read).collect()
    }
}
