//! What can go wrong while a model is cut.

use models::{ExecutorError, LayersError, RotationError};

/// A cut that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CutError {
    /// The model could not be run on the calibration text.
    #[error("calibration: {0}")]
    Run(#[from] ExecutorError),
    /// A choice of layers that no model can be made of.
    #[error(transparent)]
    Layers(#[from] LayersError),
    /// A model whose stream cannot be turned.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// A residual stream that is zero, NaN or infinite.
    #[error(
        "the stream that enters layer {layer}, or one that it is compared with, is zero or not finite, so \
         it has no direction; the model has overflowed"
    )]
    NoDirection {
        /// The layer, or the number of layers for the stream after the last.
        layer: usize,
    },
    /// A layer that no map can be fitted to.
    #[error(
        "the stream that enters layer {layer} does not vary over the text, or is not finite; calibrate on \
         more text"
    )]
    NoFit {
        /// The layer, or the number of layers for the stream after the last.
        layer: usize,
    },
    /// A method that looks at inputs was given no text.
    #[error("the method looks at inputs and was given no calibration window; name a text")]
    NoText,
    /// No method of this name.
    #[error("method `{name}` is unknown; known are {known}")]
    UnknownMethod {
        /// What was asked for.
        name: String,
        /// The names, separated by commas.
        known: String,
    },
    /// A setting outside of its range, or one that the method does not have.
    #[error("setting `{setting}`: {reason}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
    /// Groups of a pattern that do not fill the inputs.
    #[error(
        "matrix `{matrix}` has {inputs} inputs, which groups of {m} do not fill; choose a pattern whose \
         second number divides them, or a share"
    )]
    Groups {
        /// Its name in the checkpoint.
        matrix: String,
        /// Inputs of a row.
        inputs: usize,
        /// Entries of a group.
        m: usize,
    },
    /// A score or an input that is NaN or infinite, so nothing can be ranked or fitted by it.
    #[error("matrix `{matrix}`: {what} is not finite; the model has overflowed")]
    NonFinite {
        /// Its name in the checkpoint.
        matrix: String,
        /// What is not finite.
        what: &'static str,
    },
    /// The second derivatives of a layer's error cannot be factorised.
    #[error(
        "matrix `{matrix}`: XᵀX of its inputs is not positive definite in spite of the damping; calibrate on \
         more text"
    )]
    Indefinite {
        /// Its name in the checkpoint.
        matrix: String,
    },
}
