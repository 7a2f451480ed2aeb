//! The seam: who computes a feed-forward block.

use burn::tensor::Tensor;

use crate::{Batch, ExecutorError, Ffn};

/// One use of a feed-forward block in a forward pass.
#[derive(Clone, Copy, Debug)]
pub struct FfnSite<'a> {
    /// Index of the site, counted from the first block of the model.
    pub index: usize,
    /// Layer it stands in.
    pub layer: usize,
    /// The weights.
    pub ffn: &'a Ffn,
    /// The sequences whose tokens are the rows of the input.
    pub batch: &'a Batch,
}

/// Computes the blocks of a forward pass.
pub trait Executor {
    /// What the block adds to the residual stream.
    ///
    /// # Shapes
    /// - `x`: `[tokens, d_model]`, the input of the block (already normalised)
    /// - returns: `[tokens, d_model]`
    ///
    /// # Errors
    /// Where the block cannot be run as asked; the forward pass ends with it.
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError>;
}

/// The model as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dense;

impl Executor for Dense {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        Ok(site.ffn.project(site.ffn.hidden(x)))
    }
}
