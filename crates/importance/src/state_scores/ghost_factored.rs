//! `ghost-factored`: `ghost` without the correlation between what is held and what is read.

use super::{StateScore, StateWeights, mean};
use crate::{Draw, StateMoments};

/// `mean_t(E_t)·mean_t(C'_t²)`: the earlier prototype of GHOST, kept to show what the cross-correlation is
/// worth. Over one token it is `E_t·C'_t²`, and over a commitment window the sum of that over its tokens.
#[derive(Clone, Copy, Debug)]
pub struct GhostFactored;

impl StateScore for GhostFactored {
    fn name(&self) -> &'static str {
        "ghost-factored"
    }

    fn needs_text(&self) -> bool {
        true
    }

    fn score(&self, _: &StateWeights, moments: &StateMoments, _: &Draw) -> Vec<f64> {
        let factors = moments.energy.iter().zip(&moments.reads);
        factors.map(|(e, c)| mean(*e, moments.tokens) * mean(*c, moments.tokens)).collect()
    }

    fn window_score(&self, _: &StateWeights, moments: &StateMoments, _: &Draw) -> Vec<f64> {
        moments.readout.clone()
    }
}
