//! `state-taylor`: what the loss loses without the channel, to first order.

use super::{StateScore, StateWeights};
use crate::{Draw, StateMoments};

/// `|Σ_t C'_t·∂NLL/∂C'_t|`: the first-order change of the loss when the channel is no longer read. It is
/// zero for every channel where no gradients were taken.
#[derive(Clone, Copy, Debug)]
pub struct StateTaylor;

impl StateScore for StateTaylor {
    fn name(&self) -> &'static str {
        "state-taylor"
    }

    fn needs_text(&self) -> bool {
        true
    }

    fn needs_gradients(&self) -> bool {
        true
    }

    fn score(&self, _: &StateWeights, moments: &StateMoments, _: &Draw) -> Vec<f64> {
        moments.slope.iter().map(|slope| slope.abs()).collect()
    }
}
