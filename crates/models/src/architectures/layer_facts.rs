//! What one layer adds to the sizes of a model.

/// Sizes of one layer: what [`ModelFacts`](crate::ModelFacts) loses where it is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerFacts {
    /// Stored parameters that no other layer uses.
    pub parameters: usize,
    /// Of these, those in no linear map, in no bias or adapter of one and in no convolution: norms, and
    /// what steps a recurrent state.
    pub unmapped: usize,
    /// The block that it shares with other layers, where there is one.
    pub shared: Option<SharedBlock>,
    /// Parameters that a token's forward pass multiplies with, those of a shared block too.
    pub multiplied: usize,
    /// Width of the queries of its attention; 0 without one.
    pub attention_width: usize,
    /// Attentions, each with keys and values of its own in a cache.
    pub attentions: usize,
    /// Uses of a feed-forward block.
    pub ffn_sites: usize,
    /// Mixers.
    pub state_sites: usize,
}

/// A block whose weights several layers use. They go only when its last use goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedBlock {
    /// Which of the shared blocks of the model it is.
    pub number: usize,
    /// Its stored parameters.
    pub parameters: usize,
    /// Of these, the norms.
    pub unmapped: usize,
}
