//! What a model remembers of a sequence that it is fed piece by piece.

use burn::tensor::Tensor;
use vector::Remembered;

use crate::kv_rows::KvRows;

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

    /// Keys and values of all attentions and states of all mixers, in bytes.
    pub fn bytes(&self) -> u64 {
        let keys_and_values: u64 = self.attention.iter().map(KvCache::bytes).sum();
        let states: usize =
            self.recurrent.iter().map(|own| own.convolution.len() + own.state.len()).sum();
        keys_and_values + BYTES * states as u64
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
    /// The same in place of `past`, once tokens come one by one on the CPU.
    rows: Option<KvRows>,
}

/// Bytes of a number that is remembered.
const BYTES: u64 = size_of::<f32>() as u64;

impl KvCache {
    /// Tokens held.
    pub fn held(&self) -> usize {
        let in_rows = self.rows.as_ref().map_or(0, KvRows::held);
        self.past.as_ref().map_or(in_rows, |[keys, _]| keys.dims()[1])
    }

    /// Keys and values held, in bytes.
    pub fn bytes(&self) -> u64 {
        let entries: usize = match (&self.past, &self.rows) {
            (Some(both), _) => both.iter().map(|t| t.dims().iter().product::<usize>()).sum(),
            (None, Some(rows)) => rows.entries(),
            (None, None) => 0,
        };
        BYTES * entries as u64
    }

    /// Adds the key and value of one token, in plain memory, and returns all that it sees; with a `window`,
    /// older ones are forgotten.
    ///
    /// # Shapes
    /// - `key`, `value`: `[kv_heads, head_dim]`
    /// - returns: one entry a key head
    pub(crate) fn append_row(
        &mut self,
        key: &[f32],
        value: &[f32],
        head_dim: usize,
        window: Option<usize>,
    ) -> Vec<Remembered<'_>> {
        let past = self.past.take();
        let rows = self.rows.get_or_insert_with(|| match past {
            Some(past) => KvRows::of(past),
            None => KvRows::empty(key.len() / head_dim, head_dim),
        });
        rows.push(key, value, window);
        rows.remembered()
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
        if let Some(rows) = self.rows.take() {
            self.past = Some(rows.to_tensors(&keys.device()));
        }
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
