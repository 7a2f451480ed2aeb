//! One file per architecture, behind one trait.

mod config;
mod llama;
mod opt;

pub(crate) use config::{HubConfig, KNOWN};
pub(crate) use llama::{Llama, LlamaConfig};
pub(crate) use opt::{Opt, OptConfig};

use std::ops::Range;

use burn::tensor::Tensor;

use crate::{Batch, Executor, ExecutorError, Ffn};

/// Sizes of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelFacts {
    /// Entries of the vocabulary.
    pub vocabulary: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Number of layers.
    pub layers: usize,
    /// Neurons of a feed-forward block of the uncut model.
    pub neurons: usize,
    /// Width of the attention output before its projection.
    pub attention_width: usize,
    /// Width of keys and of values.
    pub kv_width: usize,
    /// Whether the feed-forward blocks have a gate.
    pub gated: bool,
    /// Longest sequence, tokens.
    pub max_positions: usize,
}

impl ModelFacts {
    /// Parameters that a token's forward pass multiplies with, without the embedding table.
    pub fn matrix_parameters(&self) -> usize {
        self.layers * (self.attention_parameters() + self.ffn_parameters())
            + self.d_model * self.vocabulary
    }

    fn attention_parameters(&self) -> usize {
        2 * self.d_model * (self.attention_width + self.kv_width)
    }

    /// Parameters of one feed-forward block.
    pub fn ffn_parameters(&self) -> usize {
        (2 + usize::from(self.gated)) * self.d_model * self.neurons
    }

    /// Floating point operations of a dense forward pass, per token of a sequence of `length` tokens:
    /// two a parameter, and the causal half of the attention products.
    pub fn flops_per_token(&self, length: usize) -> f64 {
        let attention = 2 * self.layers * self.attention_width * length;
        (2 * self.matrix_parameters() + attention) as f64
    }
}

/// A language model whose feed-forward blocks an executor computes.
pub trait Model: Send + Sync {
    /// Its sizes.
    fn facts(&self) -> ModelFacts;

    /// The feed-forward block of every site, in the order of the forward pass.
    fn ffns(&self) -> Vec<&Ffn>;

    /// The same model with other feed-forward blocks (a cut); everything else is shared.
    fn with_ffns(&self, ffns: Vec<Ffn>) -> Box<dyn Model>;

    /// The residual stream after the last norm, ready for [`Model::logits`].
    ///
    /// # Shapes
    /// - returns: `[tokens, d_model]`, rows in the order of `batch`
    ///
    /// # Errors
    /// An id or a sequence that the model cannot take, or what the executor refuses.
    fn forward(
        &self,
        batch: &Batch,
        executor: &mut dyn Executor,
    ) -> Result<Tensor<2>, ExecutorError>;

    /// Logits of a range of ids.
    ///
    /// # Shapes
    /// - `hidden`: `[tokens, d_model]`
    /// - returns: `[tokens, ids]`
    fn logits_of(&self, hidden: Tensor<2>, ids: Range<usize>) -> Tensor<2>;

    /// All logits.
    ///
    /// # Shapes
    /// - `hidden`: `[tokens, d_model]`
    /// - returns: `[tokens, vocabulary]`
    fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.logits_of(hidden, 0..self.facts().vocabulary)
    }
}

/// Refuses ids and lengths that the model cannot take.
fn check_batch(batch: &Batch, facts: &ModelFacts) -> Result<(), ExecutorError> {
    if let Some(id) = batch.ids().iter().copied().find(|id| *id as usize >= facts.vocabulary) {
        return Err(ExecutorError::UnknownToken { id, vocabulary: facts.vocabulary });
    }
    if batch.longest() > facts.max_positions {
        let (tokens, max_positions) = (batch.longest(), facts.max_positions);
        return Err(ExecutorError::TooLong { tokens, max_positions });
    }
    Ok(())
}

/// Products with some rows of an output head.
///
/// # Shapes
/// - `hidden`: `[tokens, d_model]`
/// - `head`: `[vocabulary, d_model]`
/// - returns: `[tokens, ids]`
fn head_product(hidden: Tensor<2>, head: &Tensor<2>, ids: Range<usize>) -> Tensor<2> {
    let rows = 0;
    hidden.matmul(head.clone().narrow(rows, ids.start, ids.len()).transpose())
}

/// Rows of an embedding table.
fn embed(table: &Tensor<2>, indices: impl Iterator<Item = usize>) -> Tensor<2> {
    let indices: Vec<i64> = indices.map(|i| i as i64).collect();
    let n = indices.len();
    let indices = Tensor::from_data(burn::tensor::TensorData::new(indices, [n]), &table.device());
    table.clone().select(0, indices)
}
