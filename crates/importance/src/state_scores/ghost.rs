//! `ghost`: what the outputs of a mixer lose without the channel.

use super::{StateScore, StateWeights, mean};
use crate::{Draw, StateMoments};

/// `sqrt(mean_t Σ_k Σ_p H_t[h_k, p, n]²·C'_t[g, n]²)`, multiplied token by token and then averaged: its
/// square is the mean squared change of the outputs when the channel alone is zeroed, summed over the heads
/// of its group (GHOST). Over one token it is `|C'_t[g, n]|·‖H_t[·, ·, n]‖₂`, and over a commitment window
/// the sum of that over its tokens: for the choice of a window the specification adds up scores of tokens
/// (sections 1 and 5), where for a calibration text it averages squares.
#[derive(Clone, Copy, Debug)]
pub struct Ghost;

impl StateScore for Ghost {
    fn name(&self) -> &'static str {
        "ghost"
    }

    fn needs_text(&self) -> bool {
        true
    }

    fn score(&self, _: &StateWeights, moments: &StateMoments, _: &Draw) -> Vec<f64> {
        moments.readout.iter().map(|sum| mean(*sum, moments.tokens).sqrt()).collect()
    }

    fn window_score(&self, _: &StateWeights, moments: &StateMoments, _: &Draw) -> Vec<f64> {
        moments.read_sizes.clone()
    }
}
