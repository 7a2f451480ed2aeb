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

    /// The past of every attention, in the order of the forward pass.
    pub fn attention(&self) -> &[KvCache] {
        &self.attention
    }

    /// Keys and values held, in bytes; the state of mixers is not among them.
    pub fn kv_bytes(&self) -> u64 {
        self.attention.iter().map(KvCache::bytes).sum()
    }

    /// The same with the states of all mixers, in bytes.
    pub fn bytes(&self) -> u64 {
        let states: usize =
            self.recurrent.iter().map(|own| own.convolution.len() + own.state.len()).sum();
        self.kv_bytes() + BYTES * states as u64
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

/// Keys (already turned by their positions) and values of the tokens that are still visible: of all heads
/// together, or, where an executor lets every head remember what it likes, head by head.
#[derive(Clone, Debug, Default)]
pub struct KvCache {
    /// Both `[kv_heads, tokens, head_dim]`; `None` before the first token.
    past: Option<[Tensor<3>; 2]>,
    /// The same in place of `past`, once tokens come one by one on the CPU.
    rows: Option<KvRows>,
    /// One entry a key head; none where the plain computation runs.
    pub heads: Vec<HeadCache>,
}

/// What one key head remembers: any positions, oldest first, one row each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadCache {
    /// Positions in the sequence, ascending.
    pub positions: Vec<usize>,
    /// Turned by their positions: `[positions, head_dim]`.
    pub keys: Vec<f32>,
    /// `[positions, head_dim]`
    pub values: Vec<f32>,
    /// A number that the executor keeps of every position.
    pub noted: Vec<f64>,
}

impl HeadCache {
    /// Adds a position behind the others.
    pub fn push(&mut self, position: usize, [key, value]: [&[f32]; 2], noted: f64) {
        self.positions.push(position);
        self.keys.extend_from_slice(key);
        self.values.extend_from_slice(value);
        self.noted.push(noted);
    }

    /// Forgets all but these places, ascending, and frees the memory of the rest.
    pub fn keep(&mut self, places: impl IntoIterator<Item = usize>) {
        let head_dim = self.keys.len().checked_div(self.positions.len()).unwrap_or(0);
        let mut n = 0;
        for place in places {
            if place != n {
                self.positions[n] = self.positions[place];
                self.noted[n] = self.noted[place];
                for rows in [&mut self.keys, &mut self.values] {
                    rows.copy_within(place * head_dim..(place + 1) * head_dim, n * head_dim);
                }
            }
            n += 1;
        }
        self.positions.truncate(n);
        self.noted.truncate(n);
        for rows in [&mut self.keys, &mut self.values] {
            rows.truncate(n * head_dim);
            // Room for as much again stays, so that not every token moves all rows.
            rows.shrink_to(2 * n * head_dim);
        }
    }
}

/// Bytes of a number that is cached.
const BYTES: u64 = size_of::<f32>() as u64;

impl KvCache {
    /// Tokens held.
    pub fn held(&self) -> usize {
        let in_rows = self.rows.as_ref().map_or(0, KvRows::held);
        self.past.as_ref().map_or(in_rows, |[keys, _]| keys.dims()[1])
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

    /// Keys and values held, in bytes.
    pub fn bytes(&self) -> u64 {
        let by_head = self.heads.iter().map(|head| head.keys.len() + head.values.len());
        let entries: usize = match (&self.past, &self.rows) {
            (Some(both), _) => both.iter().map(|t| t.dims().iter().product::<usize>()).sum(),
            (None, Some(rows)) => rows.entries(),
            (None, None) => 0,
        };
        BYTES * (entries + by_head.sum::<usize>()) as u64
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
