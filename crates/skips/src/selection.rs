//! What is to be kept: everything, a fixed set a site, or sets chosen while the text runs.

use importance::Score;

use crate::Commitment;

/// How kept sets come about.
pub enum Selection {
    /// Every neuron: the dense model.
    All,
    /// One ascending set a site, chosen beforehand.
    Static(Vec<Vec<u32>>),
    /// Chosen from the activations, window by window.
    Windowed(Windowed),
}

/// Sets chosen from activations.
pub struct Windowed {
    /// Ranks the neurons.
    pub score: Box<dyn Score>,
    /// κ, the fraction dropped.
    pub sparsity: f64,
    /// Which tokens share a set.
    pub commitment: Commitment,
    /// Seed of random scores and of the rule `random`.
    pub seed: u64,
    /// The static set of every site, for the rule `calibration`; empty otherwise.
    pub calibrated: Vec<Vec<u32>>,
}
