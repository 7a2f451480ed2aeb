//! One file per architecture, behind one trait.

mod config;
mod decoder;
mod gemma3;
mod gpt2;
mod known;
mod layer_facts;
mod llama;
mod mamba2;
mod mistral;
mod mixer_config;
mod opt;
mod positional;
mod python_json;
mod qwen2;
mod qwen3;
mod rope_config;
mod saved_config;
mod spellings;
mod zamba2;

pub(crate) use config::{ClassDefaults, HubConfig};
pub(crate) use known::blueprint;
pub use layer_facts::{LayerFacts, SharedBlock};
pub use saved_config::config_text;
pub(crate) use saved_config::fields as saved_fields;

use std::ops::Range;

use burn::tensor::Tensor;

use crate::{
    Attention, Batch, Cache, Executor, ExecutorError, Ffn, LinearMapper, LoadError, MatrixUse,
    Mixer, RotationError, SaveError, Saved,
    product::{MatrixMemory, product, wide},
    weights::Weights,
};

/// A checked config: what is known of a model before its weights are read.
pub(crate) trait Blueprint: Send + Sync {
    /// Its sizes.
    fn facts(&self) -> ModelFacts;

    /// The model with its weights.
    fn load(&self, weights: &mut Weights<'_>) -> Result<Box<dyn Model>, LoadError>;
}

/// Sizes of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelFacts {
    /// Entries of the vocabulary.
    pub vocabulary: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Number of layers.
    pub layers: usize,
    /// Longest sequence, tokens; `usize::MAX` where nothing but memory bounds it.
    pub max_positions: usize,
    /// Uses of a feed-forward block in a forward pass.
    pub ffn_sites: usize,
    /// Neurons of a feed-forward block of the uncut model; 0 where there is none.
    pub neurons: usize,
    /// Whether the feed-forward blocks have a gate.
    pub gated: bool,
    /// The recurrent states, where there are any.
    pub state: Option<StateFacts>,
    /// Σ over the uses of an attention of the width of its queries.
    pub attention_width: usize,
    /// Query heads and key heads of an attention of the uncut model; none where there is none.
    pub heads: Option<[usize; 2]>,
    /// Stored parameters, shared ones once.
    pub parameters: usize,
    /// Parameters that a token's forward pass multiplies with: shared ones once a use, the output head
    /// too, an embedding table not.
    pub multiplied: usize,
}

/// Sizes of the recurrent states of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateFacts {
    /// Mixers in a forward pass.
    pub sites: usize,
    /// Heads of a mixer.
    pub heads: usize,
    /// Entries of a head, `P`.
    pub head_dim: usize,
    /// Groups of a mixer, `G`.
    pub groups: usize,
    /// State channels of a group, `N`.
    pub channels: usize,
}

impl StateFacts {
    /// Entries of all states.
    pub fn entries(&self) -> usize {
        self.sites * self.heads * self.head_dim * self.channels
    }
}

impl ModelFacts {
    /// Floating point operations of a dense forward pass, per token of a sequence of `length` tokens:
    /// two a parameter, the causal half of the attention products, and five an entry of the recurrent
    /// states (decay, write and read of the plain recurrence).
    pub fn flops_per_token(&self, length: usize) -> f64 {
        let attention = 2 * self.attention_width * length;
        let states = 5 * self.state.map_or(0, |state| state.entries());
        (2 * self.multiplied + attention + states) as f64
    }
}

/// A model in another basis of its residual stream.
pub struct Rotated {
    /// The model.
    pub model: Box<dyn Model>,
    /// The rotation that was made: the one that was asked for, or, where LayerNorms read the stream, that
    /// one followed by the reflection that brings the stream's mean back to where it was.
    pub basis: Tensor<2>,
}

/// A language model whose feed-forward blocks, attentions and recurrent states an executor computes.
pub trait Model: Send + Sync {
    /// Its sizes.
    fn facts(&self) -> ModelFacts;

    /// Sizes of one of its layers: the sums over all of them, shared blocks once, are what
    /// [`Model::facts`] counts beside embeddings, the last norm and the output head.
    fn layer_facts(&self, layer: usize) -> LayerFacts;

    /// The feed-forward block of every site, in the order of the forward pass.
    fn ffns(&self) -> Vec<&Ffn>;

    /// For every site the block whose weights it uses, counted from 0: sites that share a block have
    /// the same number, and a static kept set is one for all of them.
    fn ffn_blocks(&self) -> Vec<usize> {
        (0..self.ffns().len()).collect()
    }

    /// The same model with other feed-forward blocks (a cut); everything else is shared.
    fn with_ffns(&self, ffns: Vec<Ffn>) -> Box<dyn Model>;

    /// The mixer of every state site, in the order of the forward pass.
    fn mixers(&self) -> Vec<&Mixer> {
        Vec::new()
    }

    /// The same model with other mixers (a cut); everything else is shared.
    fn with_mixers(&self, mixers: Vec<Mixer>) -> Box<dyn Model>;

    /// The attention of every site ([`AttentionSite`](crate::AttentionSite)), in the order of the forward
    /// pass.
    fn attentions(&self) -> Vec<&Attention>;

    /// For every attention the block whose weights it uses, in the way of [`Model::ffn_blocks`].
    fn attention_blocks(&self) -> Vec<usize> {
        (0..self.attentions().len()).collect()
    }

    /// The same model with other attentions (a cut); everything else is shared.
    fn with_attentions(&self, attentions: Vec<Attention>) -> Box<dyn Model>;

    /// The linear maps of a layer in the order of the forward pass, without embeddings, heads of the
    /// vocabulary, norms and convolutions; those of a block that layers share at each of its uses.
    ///
    /// # Panics
    /// Where there is no such layer.
    fn linears(&self, layer: usize) -> Vec<MatrixUse<'_>>;

    /// The same model with other linear maps; everything else is shared.
    ///
    /// `map` sees every matrix of [`Model::linears`] once, one that several layers share at its first use,
    /// and answers with as many parts as it saw, or with `None` to leave it. Every use gets the new
    /// weight, bias and tap and keeps its own adapter.
    ///
    /// # Panics
    /// Where the answer has another number of parts.
    fn map_linears(&self, map: &mut LinearMapper<'_>) -> Box<dyn Model>;

    /// The same model with other tables of the vocabulary, `[vocabulary, d]`: `map` sees the embedding and
    /// the output head, where the two are tied once.
    fn map_vocabulary(&self, map: &mut dyn FnMut(&Tensor<2>) -> Tensor<2>) -> Box<dyn Model>;

    /// The same model with its residual stream `x` in another basis, `x·Q`: the gains of norms and `Q`
    /// are folded into the maps that read the stream, into those that write it, into the embedding and
    /// into the output head, which is no longer tied. Logits stay as they are up to rounding
    /// (Ashkboos et al. 2024, arXiv:2401.15024, section 3). What LayerNorms read must keep its mean, see
    /// [`Rotated::basis`]; so a model of any family stays one that its class can say.
    ///
    /// # Shapes
    /// - `rotation`, `Q`: `[d_model, d_model]`, orthogonal, on the device of the model
    ///
    /// # Errors
    /// A family whose norms do not commute with a rotation, or a `Q` of another size.
    fn rotated(&self, rotation: &Tensor<2>) -> Result<Rotated, RotationError>;

    /// The model with only these of its layers, in this order and counted anew, as a checkpoint of its
    /// family has it.
    ///
    /// # Errors
    /// A model that the format cannot say: layers of several widths, layers that are affine maps, norms
    /// that the class does not have.
    ///
    /// # Panics
    /// Where there is no such layer.
    fn save(&self, layers: &[usize]) -> Result<Saved, SaveError>;

    /// The past of a sequence that has not begun.
    fn new_cache(&self) -> Cache;

    /// The residual stream before the first layer.
    ///
    /// # Shapes
    /// - returns: `[tokens, d_model]`, rows in the order of `batch`
    ///
    /// # Errors
    /// An id or a sequence that the model cannot take.
    fn start(&self, batch: &Batch) -> Result<Tensor<2>, ExecutorError>;

    /// The residual stream after some layers; with a `past`, of the next tokens of its sequence. Layers
    /// one by one give what they give together.
    ///
    /// # Shapes
    /// - `x` and result: `[tokens, d_model]`, rows in the order of `batch`
    ///
    /// # Errors
    /// What the executor refuses.
    fn through(
        &self,
        layers: Range<usize>,
        x: Tensor<2>,
        batch: &Batch,
        past: Option<&mut Cache>,
        executor: &mut dyn Executor,
    ) -> Result<Tensor<2>, ExecutorError>;

    /// What is ready for [`Model::logits`], from the residual stream after the last layer.
    ///
    /// # Shapes
    /// - `x` and result: `[tokens, d_model]`
    fn finish(&self, x: Tensor<2>) -> Tensor<2>;

    /// The residual stream after the last norm, ready for [`Model::logits`]; with a `past`, of the next
    /// tokens of its sequence. [`Model::forward`] and [`Model::extend`] are what to call.
    ///
    /// # Shapes
    /// - returns: `[tokens, d_model]`, rows in the order of `batch`
    ///
    /// # Errors
    /// An id or a sequence that the model cannot take, or what the executor refuses.
    fn advance(
        &self,
        batch: &Batch,
        past: Option<&mut Cache>,
        executor: &mut dyn Executor,
    ) -> Result<Tensor<2>, ExecutorError> {
        let x = self.start(batch)?;
        let x = self.through(0..self.facts().layers, x, batch, past, executor)?;
        Ok(self.finish(x))
    }

    /// Whole sequences, each from its first token.
    ///
    /// # Shapes
    /// - returns: `[tokens, d_model]`, rows in the order of `batch`
    ///
    /// # Errors
    /// As [`Model::advance`].
    fn forward(
        &self,
        batch: &Batch,
        executor: &mut dyn Executor,
    ) -> Result<Tensor<2>, ExecutorError> {
        self.advance(batch, None, executor)
    }

    /// The next tokens of the sequence that `cache` holds: any number at a time, with the result of the
    /// whole sequence in one pass up to rounding. After an error the cache is not to be used again.
    ///
    /// # Shapes
    /// - returns: `[ids.len(), d_model]`
    ///
    /// # Errors
    /// As [`Model::advance`].
    fn extend(
        &self,
        ids: &[u32],
        cache: &mut Cache,
        executor: &mut dyn Executor,
    ) -> Result<Tensor<2>, ExecutorError> {
        let batch = Batch::after(cache.seen, ids);
        let hidden = self.advance(&batch, Some(cache), executor)?;
        cache.seen += ids.len();
        Ok(hidden)
    }

    /// Several sequences that each go on with the one that `cache` holds, which stays as it is: what
    /// [`Model::extend`] gives for each alone, up to rounding, with one pass over the weights.
    ///
    /// # Shapes
    /// - returns: `[tokens, d_model]`, branch after branch; empty ones have no rows
    ///
    /// # Errors
    /// As [`Model::advance`].
    fn branch(
        &self,
        branches: &[&[u32]],
        cache: &Cache,
        executor: &mut dyn Executor,
    ) -> Result<Tensor<2>, ExecutorError> {
        let batch = Batch::branches(cache.seen, branches.iter().copied());
        // A single branch would be written into it.
        let mut past = cache.clone();
        self.advance(&batch, Some(&mut past), executor)
    }

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
    let tokens = batch.offset() + batch.longest();
    if tokens > facts.max_positions {
        let max_positions = facts.max_positions;
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
    product(hidden, &head.clone().narrow(rows, ids.start, ids.len()).transpose())
}

/// Replaces the tables of the vocabulary; where they are one they stay so.
fn map_tables(
    embedding: &mut Tensor<2>,
    head: &mut Tensor<2>,
    map: &mut dyn FnMut(&Tensor<2>) -> Tensor<2>,
) {
    let tied = MatrixMemory::is_one(embedding, head);
    *embedding = map(embedding);
    *head = if tied { embedding.clone() } else { map(head) };
}

/// Rows of an embedding table.
fn embed(table: &Tensor<2>, indices: impl Iterator<Item = usize>) -> Tensor<2> {
    let indices: Vec<i64> = indices.map(|i| i as i64).collect();
    let n = indices.len();
    let indices = Tensor::from_data(burn::tensor::TensorData::new(indices, [n]), &table.device());
    wide(&table.clone().select(0, indices))
}
