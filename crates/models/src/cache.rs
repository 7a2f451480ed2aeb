//! What a model remembers of a sequence that it is fed piece by piece.

use burn::tensor::Tensor;

/// The past of one sequence, layer by layer: keys and values of attention, state of recurrence.
///
/// Made by [`Model::new_cache`](crate::Model::new_cache), fed by
/// [`Model::extend`](crate::Model::extend).
#[derive(Clone, Debug, Default)]
pub struct Cache {
    /// Tokens fed so far.
    pub(crate) seen: usize,
    /// One entry per use of an attention, in the order of the forward pass.
    pub(crate) attention: Vec<KvCache>,
    /// One entry per mixer, in the order of the forward pass.
    pub(crate) recurrent: Vec<RecurrentState>,
}

impl Cache {
    /// Tokens fed so far.
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// The state of every mixer, in the order of the forward pass.
    pub fn recurrent(&self) -> &[RecurrentState] {
        &self.recurrent
    }

    /// An empty past for so many attentions and mixers.
    pub(crate) fn empty(attentions: usize, mixers: usize) -> Self {
        Self {
            seen: 0,
            attention: vec![KvCache::default(); attentions],
            recurrent: vec![RecurrentState::default(); mixers],
        }
    }
}

/// Keys (already turned by their positions) and values of the tokens that are still visible.
#[derive(Clone, Debug, Default)]
pub struct KvCache {
    /// Both `[kv_heads, tokens, head_dim]`; `None` before the first token.
    past: Option<[Tensor<3>; 2]>,
}

impl KvCache {
    /// Tokens held.
    pub fn held(&self) -> usize {
        self.past.as_ref().map_or(0, |[keys, _]| keys.dims()[1])
    }

    /// Adds the keys and values of new tokens and returns all that are visible to the first of them
    /// or later ones; with a `window`, older ones are forgotten.
    ///
    /// # Shapes
    /// - `keys`, `values` and both results: `[kv_heads, tokens, head_dim]`
    pub(crate) fn append(
        &mut self,
        keys: Tensor<3>,
        values: Tensor<3>,
        window: Option<usize>,
    ) -> [Tensor<3>; 2] {
        let tokens = 1;
        let all = match self.past.take() {
            None => [keys, values],
            Some([old_keys, old_values]) => [
                Tensor::cat(vec![old_keys, keys], tokens),
                Tensor::cat(vec![old_values, values], tokens),
            ],
        };
        // The next token sees itself and `window − 1` tokens before it.
        let length = all[0].dims()[tokens];
        let kept = window.map_or(length, |window| length.min(window.saturating_sub(1)));
        if kept > 0 {
            self.past = Some(all.clone().map(|t| t.narrow(tokens, length - kept, kept)));
        }
        all
    }
}

/// State of a Mamba-2 mixer after the last token, in `f32`; empty before the first token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecurrentState {
    /// The last `kernel − 1` inputs of the convolution, oldest first: `[kernel − 1, conv_width]`.
    pub(crate) convolution: Vec<f32>,
    /// `H[h, p, n]` of docs/SPEC.md section 5: `[heads, head_dim, channels]`.
    pub(crate) state: Vec<f32>,
}

impl RecurrentState {
    /// `H[h, p, n]`: `[heads, head_dim, channels]`, empty before the first token.
    pub fn state(&self) -> &[f32] {
        &self.state
    }
}
