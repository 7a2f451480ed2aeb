//! What can go wrong while a model is loaded or run.

pub use checkpoints::LoadError;

/// A choice of layers that no model can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayersError {
    /// Every layer would go.
    #[error("none of the {layers} layers would be left: drop fewer")]
    NoneLeft {
        /// Layers of the model.
        layers: usize,
    },
    /// A layer that is not there.
    #[error("layer {layer} is not there: the model has layers 0 to {}", layers - 1)]
    Unknown {
        /// Its number.
        layer: usize,
        /// Layers of the model.
        layers: usize,
    },
    /// A layer that was named before.
    #[error("layer {layer} is named twice")]
    Twice {
        /// Its number.
        layer: usize,
    },
    /// An affine map that does not fit the stream.
    #[error("an affine layer does not read and write {d_model} entries, the width of the stream")]
    Width {
        /// Width of the residual stream.
        d_model: usize,
    },
}

/// A model whose residual stream cannot be turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    /// A family, or a layer of the model, that does not commute with a rotation.
    #[error("this {family} model cannot be rotated: {reason}")]
    Unsupported {
        /// The family.
        family: &'static str,
        /// What stands in the way.
        reason: &'static str,
    },
    /// Another size than the stream's.
    #[error("the rotation is {rows} × {columns}, expected {d_model} × {d_model}")]
    Size {
        /// Its rows.
        rows: usize,
        /// Its columns.
        columns: usize,
        /// Width of the residual stream.
        d_model: usize,
    },
}

/// A block that an executor could not run.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The activations of a site are NaN or infinite, so nothing can be ranked by them.
    #[error(
        "layer {layer}: activation of neuron {neuron} at token {token} is {value}; the model has overflowed"
    )]
    NonFinite {
        /// Layer of the site.
        layer: usize,
        /// Row of the batch.
        token: usize,
        /// Neuron.
        neuron: usize,
        /// The value.
        value: f32,
    },
    /// What a head gives is NaN or infinite, so nothing can be ranked by it.
    #[error("layer {layer}: head {head} gives {value} at token {token}; the model has overflowed")]
    NonFiniteHead {
        /// Layer of the site.
        layer: usize,
        /// Row of the batch.
        token: usize,
        /// Query head.
        head: usize,
        /// The value.
        value: f32,
    },
    /// A logit is NaN or infinite, so no log-probability and no argmax of its row means anything.
    #[error("the logit of token id {id} in row {row} is {value}; the model has overflowed")]
    NonFiniteLogit {
        /// Row, counted from the first that was predicted from.
        row: usize,
        /// The id.
        id: usize,
        /// The value.
        value: f32,
    },
    /// A gradient is NaN or infinite.
    #[error("layer {layer}: a gradient of {what} {index} is not finite; the model has overflowed")]
    NonFiniteGradient {
        /// Layer of the site.
        layer: usize,
        /// What it is the gradient of: a neuron, a state channel, or a number that a head gives.
        what: &'static str,
        /// Its index.
        index: usize,
    },
    /// Nothing was recorded for a tensor whose gradient was asked for.
    #[error("{what} has no gradient: no operation that leads to the loss was recorded")]
    NoGradient {
        /// The tensor.
        what: String,
    },
    /// The executor looks at whole sequences, and was given a piece of one.
    #[error("{what} cannot be fed piece by piece: run whole sequences")]
    Piecewise {
        /// What was to go on with.
        what: &'static str,
    },
    /// The executor was made for another model.
    #[error("site {site} has {found} neurons, but its kept set was chosen for {expected}")]
    SiteMismatch {
        /// Index of the site.
        site: usize,
        /// Neurons the executor knows of.
        expected: usize,
        /// Neurons of the block.
        found: usize,
    },
    /// What a state holds is NaN or infinite, so nothing can be ranked by it.
    #[error(
        "layer {layer}: state channel {channel} holds an energy of {value} after token {token}; the model has overflowed"
    )]
    NonFiniteState {
        /// Layer of the site.
        layer: usize,
        /// Row of the batch.
        token: usize,
        /// Channel, those of all groups counted together.
        channel: usize,
        /// Sum of the squares of its entries.
        value: f32,
    },
    /// The executor was made for the states of another model.
    #[error("state site {site} has {found} channels, but its kept set was chosen for {expected}")]
    StateMismatch {
        /// Index of the site.
        site: usize,
        /// Channels the executor knows of, in all groups.
        expected: usize,
        /// Channels of the mixer, in all groups.
        found: usize,
    },
    /// A sequence that the model has no positions for.
    #[error(
        "a sequence of {tokens} tokens does not fit into the model's {max_positions} positions"
    )]
    TooLong {
        /// Its length, tokens.
        tokens: usize,
        /// What the model can take.
        max_positions: usize,
    },
    /// An id outside of the vocabulary.
    #[error(
        "token id {id} is outside of the vocabulary of {vocabulary}; the tokenizer is of another model"
    )]
    UnknownToken {
        /// The id.
        id: u32,
        /// Size of the vocabulary.
        vocabulary: usize,
    },
}

/// A model that has no form in so few bits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a weight of `{matrix}` is too large for {held:?}: hold it as Bf16 or F32")]
pub struct HeldError {
    /// The matrix, by its name in the checkpoint.
    pub matrix: String,
    /// What it was to be held in.
    pub held: crate::Held,
}
