//! The seam: who computes a feed-forward block, steps a recurrent state, mixes what heads see or says what
//! goes on to the next layer.

use burn::tensor::Tensor;

use crate::{
    Attention, AttentionInputs, Batch, ExecutorError, Ffn, KvCache, Mixer, Model, RecurrentState,
};

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

/// One use of an attention in a forward pass.
#[derive(Clone, Copy, Debug)]
pub struct AttentionSite<'a> {
    /// Index of the site, counted from the first attention of the model.
    pub index: usize,
    /// Layer it stands in.
    pub layer: usize,
    /// The weights and sizes.
    pub attention: &'a Attention,
    /// The sequences whose tokens are the queries.
    pub batch: &'a Batch,
}

/// The state of one Mamba-2 mixer in a forward pass.
#[derive(Clone, Copy, Debug)]
pub struct StateSite<'a> {
    /// Index of the site, counted from the first mixer of the model.
    pub index: usize,
    /// Layer it stands in.
    pub layer: usize,
    /// The weights and sizes.
    pub mixer: &'a Mixer,
    /// The sequences whose tokens are the rows of the inputs.
    pub batch: &'a Batch,
}

/// The end of one layer in a forward pass.
#[derive(Clone, Copy)]
pub struct LayerEnd<'a> {
    /// The layer.
    pub layer: usize,
    /// Whose [`Model::finish`] and [`Model::logits`] say what is predicted from the stream.
    pub model: &'a dyn Model,
    /// The sequences whose tokens are the rows of the stream.
    pub batch: &'a Batch,
}

/// What drives the recurrence of docs/SPEC.md section 5, one row a token.
#[derive(Clone, Debug)]
pub struct StateInputs {
    /// `x_t`, after convolution and SiLU: `[tokens, heads · head_dim]`.
    pub x: Tensor<2>,
    /// `B'_t`, after convolution and SiLU: `[tokens, groups · channels]`.
    pub b: Tensor<2>,
    /// `C'_t`, after convolution and SiLU: `[tokens, groups · channels]`.
    pub c: Tensor<2>,
    /// `Δ_t`, after softplus and limits: `[tokens, heads]`.
    pub dt: Tensor<2>,
}

/// Computes the prunable parts of a forward pass.
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

    /// `y_t` of the recurrence, `D·x_t` included; the default is the plain computation.
    ///
    /// `past` is the state that the sequence of the batch left behind, to be brought up to its last token;
    /// where several sequences go on with it, it stays as it is. Without it every sequence starts from zero.
    ///
    /// # Shapes
    /// - returns: `[tokens, heads · head_dim]`
    ///
    /// # Errors
    /// Where the state cannot be run as asked; the forward pass ends with it.
    fn state(
        &mut self,
        site: &StateSite<'_>,
        inputs: StateInputs,
        past: Option<&mut RecurrentState>,
    ) -> Result<Tensor<2>, ExecutorError> {
        Ok(site.mixer.scan(inputs, site.batch, past))
    }

    /// What every head gives, before the output projection; the default is the plain computation.
    ///
    /// `inputs` has one entry a sequence of the batch, without what came before it; `past` is what the
    /// sequence of the batch left behind, to be brought up to its last token; where several sequences go
    /// on with it, it stays as it is.
    ///
    /// # Shapes
    /// - returns: `[tokens, heads · head_dim]`, rows in the order of the batch
    ///
    /// # Errors
    /// Where the heads cannot be run as asked; the forward pass ends with it.
    fn attention(
        &mut self,
        site: &AttentionSite<'_>,
        inputs: Vec<AttentionInputs>,
        past: Option<&mut KvCache>,
    ) -> Result<Tensor<2>, ExecutorError> {
        Ok(site.attention.attend(inputs, past))
    }

    /// The residual stream that goes on from a layer, given the one that the layer left; the default is
    /// that one.
    ///
    /// # Shapes
    /// - `stream` and result: `[tokens, d_model]`
    ///
    /// # Errors
    /// Where nothing can go on; the forward pass ends with it.
    fn layer_end(
        &mut self,
        _end: &LayerEnd<'_>,
        stream: Tensor<2>,
    ) -> Result<Tensor<2>, ExecutorError> {
        Ok(stream)
    }
}

/// The model as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dense;

impl Executor for Dense {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        Ok(site.ffn.project(site.ffn.hidden(x)))
    }
}
