//! Causal self-attention with grouped key and value heads, over sequences laid end to end.

use std::ops::Range;

use burn::tensor::{Bool, Tensor, TensorData, activation::softmax};
use vector::{Rotary, Visible, causal_softmax, gather_heads, scatter_heads};

use super::{Linear, RmsNorm};
use crate::{
    AttentionSite, Batch, Executor, ExecutorError,
    cache::KvCache,
    tensor::{Values, is_plain_cpu, matrix},
};

/// Queries a block of the CPU path takes at a time: keys to the right of the block are not touched.
const QUERIES_PER_BLOCK: usize = 128;

/// `softmax(Q·Kᵀ · scale)·V`, causal, then the output projection (Vaswani et al. 2017;
/// grouped heads: Ainslie et al. 2023, arXiv:2305.13245).
#[derive(Clone, Debug)]
pub struct Attention {
    /// `[d_in, heads · head_dim]`.
    pub query: Linear,
    /// `[d_in, kv_heads · head_dim]`.
    pub key: Linear,
    /// `[d_in, kv_heads · head_dim]`.
    pub value: Linear,
    /// `[heads · head_dim, d_model]`: rows `h · head_dim` on read what head `h` gives.
    pub output: Linear,
    /// Norms of every query and every key head, before they are turned.
    pub(crate) norms: Option<[RmsNorm; 2]>,
    pub(crate) shape: AttentionShape,
}

/// Sizes of an attention and what its queries may see.
#[derive(Clone, Copy, Debug)]
pub struct AttentionShape {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Numbers of a head.
    pub head_dim: usize,
    /// Factor of the scores, `1/sqrt(head_dim)` unless the architecture says otherwise.
    pub scale: f32,
    /// Tokens a query sees at most, itself among them; `None` for all before it.
    pub window: Option<usize>,
}

impl AttentionShape {
    /// The usual scale, and all tokens visible.
    pub(crate) fn new(heads: usize, kv_heads: usize, head_dim: usize) -> Self {
        let scale = 1.0 / (head_dim as f32).sqrt();
        Self { heads, kv_heads, head_dim, scale, window: None }
    }

    /// Position of the first key that a query sees.
    fn first_visible(&self, query: usize) -> usize {
        self.window.map_or(0, |window| (query + 1).saturating_sub(window))
    }
}

/// Queries, keys and values of one sequence, as rows of heads.
#[derive(Clone, Debug)]
pub struct AttentionInputs {
    /// Turned by their positions and scaled: `[heads, tokens, head_dim]`.
    pub queries: Tensor<3>,
    /// Turned; once [`Attention::remembered`], with the past of the cache in front:
    /// `[kv_heads, visible, head_dim]`.
    pub keys: Tensor<3>,
    /// `[kv_heads, visible, head_dim]`.
    pub values: Tensor<3>,
    /// Position of the first query, counted from the first key.
    pub first: usize,
}

impl Attention {
    /// Its maps, those that read the same input together.
    pub(crate) fn linears(&self) -> Vec<Vec<&Linear>> {
        vec![vec![&self.query, &self.key, &self.value], vec![&self.output]]
    }

    /// The same to be changed.
    pub(crate) fn linears_mut(&mut self) -> Vec<Vec<&mut Linear>> {
        vec![vec![&mut self.query, &mut self.key, &mut self.value], vec![&mut self.output]]
    }

    /// Parameters of the norms of its heads.
    pub(crate) fn norm_parameters(&self) -> usize {
        self.norms.iter().flatten().map(|norm| norm.weight.dims()[0]).sum()
    }

    /// Its sizes.
    pub fn shape(&self) -> AttentionShape {
        self.shape
    }

    /// The output projection as a matrix, without its bias, whatever form it is stored in.
    ///
    /// # Shapes
    /// - returns: `[heads · head_dim, d_model]`
    pub fn output_map(&self) -> Tensor<2> {
        self.output.matrix()
    }

    /// `rotary` holds the turns of the positions of the batch, `past` the keys and values of the sequence
    /// that the batch goes on with; where several sequences go on with it, it stays as it is.
    ///
    /// # Shapes
    /// - `x`: `[tokens, d_in]`, tokens of all sequences of `batch`
    /// - returns: `[tokens, d_model]`
    pub(crate) fn forward(
        &self,
        x: Tensor<2>,
        [index, layer]: [usize; 2],
        batch: &Batch,
        rotary: Option<&Rotary>,
        past: Option<&mut KvCache>,
        executor: &mut dyn Executor,
    ) -> Result<Tensor<2>, ExecutorError> {
        let heads = self.project(x);
        let gathered = |heads: [Tensor<2>; 3]| match is_plain_cpu(&heads[0].device()) {
            true => self.gathered(heads, rotary),
            false => self.gathered_composed(heads, rotary),
        };
        let sequences: Vec<_> = batch.sequences().collect();
        let inputs = match sequences.as_slice() {
            [_] => vec![gathered(heads)],
            several => {
                let of = |rows: &Range<usize>| {
                    gathered(heads.each_ref().map(|t| t.clone().narrow(0, rows.start, rows.len())))
                };
                several.iter().map(of).collect()
            }
        };
        let site = AttentionSite { index, layer, attention: self, batch };
        Ok(self.output.forward(executor.attention(&site, inputs, past)?))
    }

    /// The plain computation: the head outputs of every sequence, in the order of the batch.
    ///
    /// # Shapes
    /// - returns: `[tokens, heads · head_dim]`
    pub fn attend(
        &self,
        mut inputs: Vec<AttentionInputs>,
        mut past: Option<&mut KvCache>,
    ) -> Tensor<2> {
        if inputs.len() == 1
            && let Some(only) = inputs.pop()
        {
            let [_, tokens, _] = only.queries.dims();
            if let (1, Some(past)) = (tokens, &mut past)
                && is_plain_cpu(&only.queries.device())
            {
                return self.mix_one(only, past);
            }
            return self.mixed(&self.remembered(only, past));
        }
        let parts = inputs.into_iter().map(|own| {
            let mut past = past.as_deref().cloned();
            self.mixed(&self.remembered(own, past.as_mut()))
        });
        Tensor::cat(parts.collect(), 0)
    }

    /// `softmax(Q·Kᵀ)·V` of one sequence whose keys and values hold its past.
    ///
    /// # Shapes
    /// - returns: `[tokens, heads · head_dim]`
    pub fn mixed(&self, inputs: &AttentionInputs) -> Tensor<2> {
        match is_plain_cpu(&inputs.queries.device()) {
            true => self.mix_blocks(inputs),
            false => self.mix_composed(inputs),
        }
    }

    /// Queries, keys and values, with their norms: `[tokens, heads · head_dim]` each.
    fn project(&self, x: Tensor<2>) -> [Tensor<2>; 3] {
        let [mut query, mut key, value] =
            Linear::forward_all([&self.query, &self.key, &self.value], x);
        if let Some([query_norm, key_norm]) = &self.norms {
            let by_head = |x: Tensor<2>, norm: &RmsNorm| {
                let [tokens, width] = x.dims();
                let head_dim = self.shape.head_dim;
                let rows = x.reshape([tokens * width / head_dim, head_dim]);
                norm.forward(rows).0.reshape([tokens, width])
            };
            (query, key) = (by_head(query, query_norm), by_head(key, key_norm));
        }
        [query, key, value]
    }

    /// The past in front of the keys and values, which it takes up.
    pub fn remembered(
        &self,
        sequence: AttentionInputs,
        past: Option<&mut KvCache>,
    ) -> AttentionInputs {
        let Some(past) = past else { return sequence };
        let first = past.held();
        let [keys, values] = past.append(sequence.keys, sequence.values, self.shape.window);
        AttentionInputs { keys, values, first, ..sequence }
    }

    /// The CPU path: heads are gathered, turned and scaled in one pass over plain memory.
    fn gathered(&self, heads: [Tensor<2>; 3], rotary: Option<&Rotary>) -> AttentionInputs {
        let AttentionShape { heads: n, kv_heads, head_dim, scale, .. } = self.shape;
        let device = heads[0].device();
        let [query, key, value] = heads.map(Values::of);
        let cube = |rows: &[f32], heads: usize, scale: f32, rotary: Option<&Rotary>| -> Tensor<3> {
            let values = gather_heads(rows, heads, head_dim, scale, rotary);
            let shape = [heads, rows.len() / (heads * head_dim), head_dim];
            Tensor::from_data(TensorData::new(values, shape), &device)
        };
        AttentionInputs {
            queries: cube(&query, n, scale, rotary),
            keys: cube(&key, kv_heads, 1.0, rotary),
            values: cube(&value, kv_heads, 1.0, None),
            first: 0,
        }
    }

    /// The CPU path: blocks of queries against the keys they may see, softmax in one pass.
    fn mix_blocks(&self, sequence: &AttentionInputs) -> Tensor<2> {
        let AttentionShape { heads, kv_heads, head_dim, window, .. } = self.shape;
        let (by_head, tokens) = (0, 1);
        let device = sequence.queries.device();
        let length = sequence.queries.dims()[tokens];
        let width = heads * head_dim;
        let queries = Values::of(sequence.queries.clone());
        let mut out = vec![0.0; length * width];
        for first in (0..length).step_by(QUERIES_PER_BLOCK) {
            let rows = QUERIES_PER_BLOCK.min(length - first);
            let start = self.shape.first_visible(sequence.first + first);
            let end = sequence.first + first + rows;
            let seen = |t: &Tensor<3>| t.clone().narrow(tokens, start, end - start);
            // The query heads of one key head stand below each other.
            let block = block_of_queries(&queries, length, first..first + rows, head_dim);
            let shape = [kv_heads, heads / kv_heads * rows, head_dim];
            let block: Tensor<3> = Tensor::from_data(TensorData::new(block, shape), &device);
            let keys = seen(&sequence.keys).swap_dims(by_head + 1, by_head + 2);
            let mut scores = Values::of(block.matmul(keys));
            let first_query = sequence.first + first - start;
            let visible = Visible { queries: rows, keys: end - start, first: first_query, window };
            causal_softmax(&mut scores, visible);
            let mixed = Values::of(scores.into_tensor().matmul(seen(&sequence.values)));
            scatter_heads(&mixed, heads, head_dim, &mut out[first * width..][..rows * width]);
        }
        matrix(out, [length, width], &device)
    }

    /// The CPU path of one token that goes on with a past: nothing that is remembered is moved.
    fn mix_one(&self, token: AttentionInputs, past: &mut KvCache) -> Tensor<2> {
        let AttentionShape { heads, head_dim, window, .. } = self.shape;
        let device = token.queries.device();
        let [queries, key, value] = [token.queries, token.keys, token.values].map(Values::of);
        let remembered = past.append_row(&key, &value, head_dim, window);
        let mixed = vector::attend_heads(&queries, &remembered, head_dim);
        matrix(mixed, [1, heads * head_dim], &device)
    }

    /// Every other device, and the oracle of [`Attention::gathered`].
    fn gathered_composed(&self, heads: [Tensor<2>; 3], rotary: Option<&Rotary>) -> AttentionInputs {
        let AttentionShape { heads: n, kv_heads, head_dim, scale, .. } = self.shape;
        let (by_head, tokens) = (0, 1);
        let cube = |x: Tensor<2>, heads: usize| -> Tensor<3> {
            let [length, _] = x.dims();
            x.reshape([length, heads, head_dim]).swap_dims(by_head, tokens)
        };
        let [query, key, value] = heads;
        let turned = |x: Tensor<3>| match rotary {
            Some(rotary) => turn(x, rotary),
            None => x,
        };
        AttentionInputs {
            queries: turned(cube(query, n)) * scale,
            keys: turned(cube(key, kv_heads)),
            values: cube(value, kv_heads),
            first: 0,
        }
    }

    /// Every other device, and the oracle of [`Attention::mix_blocks`].
    fn mix_composed(&self, sequence: &AttentionInputs) -> Tensor<2> {
        let AttentionShape { heads, kv_heads, head_dim, .. } = self.shape;
        let (by_head, tokens, features) = (0, 1, 2);
        let length = sequence.queries.dims()[tokens];
        let visible = sequence.keys.dims()[tokens];
        let groups = heads / kv_heads;
        let queries = sequence.queries.clone().reshape([kv_heads, groups * length, head_dim]);
        let scores = queries.matmul(sequence.keys.clone().swap_dims(tokens, features));
        let scores = scores.reshape([heads, length, visible]);
        let scores = scores.mask_fill(self.hidden(sequence, length, visible), f32::MIN);
        let weights = softmax(scores, features).reshape([kv_heads, groups * length, visible]);
        let mixed = weights.matmul(sequence.values.clone()).reshape([heads, length, head_dim]);
        mixed.swap_dims(by_head, tokens).reshape([length, heads * head_dim])
    }

    /// True where a query may not see a key: `[1, tokens, visible]`.
    fn hidden(&self, sequence: &AttentionInputs, length: usize, visible: usize) -> Tensor<3, Bool> {
        let mask: Vec<bool> = (0..length)
            .flat_map(|row| {
                let query = sequence.first + row;
                let seen = self.shape.first_visible(query)..=query;
                (0..visible).map(move |key| !seen.contains(&key))
            })
            .collect();
        let data = TensorData::new(mask, [1, length, visible]);
        Tensor::from_data(data, &sequence.queries.device())
    }
}

fn block_of_queries(
    queries: &[f32],
    length: usize,
    rows: std::ops::Range<usize>,
    head_dim: usize,
) -> Vec<f32> {
    let rows = rows.start * head_dim..rows.end * head_dim;
    let heads = queries.chunks_exact(length * head_dim);
    let mut block = Vec::with_capacity(heads.len() * rows.len());
    for head in heads {
        block.extend_from_slice(&head[rows.clone()]);
    }
    block
}

/// Rotary positions by tensor operations: `x·cos + rotate_half(x)·sin`.
fn turn(x: Tensor<3>, rotary: &Rotary) -> Tensor<3> {
    let [_, length, head_dim] = x.dims();
    let (half, features) = (head_dim / 2, 2);
    let table = |values: &[f32]| -> Tensor<3> {
        let values = values[..length * half].to_vec();
        let table: Tensor<3> =
            Tensor::from_data(TensorData::new(values, [1, length, half]), &x.device());
        Tensor::cat(vec![table.clone(), table], features)
    };
    let low = x.clone().narrow(features, 0, half);
    let high = x.clone().narrow(features, half, half);
    let rotated = Tensor::cat(vec![-high, low], features);
    x.clone() * table(rotary.cos()) + rotated * table(rotary.sin())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Rope, RopeScaling};
    use burn::tensor::{Device, Tolerance};

    fn rows(n: usize, width: usize, salt: usize) -> Tensor<2> {
        let values = (0..n * width).map(|i| ((i * 31 + salt) % 19) as f32 / 9.0 - 1.0).collect();
        matrix(values, [n, width], &Device::flex())
    }

    /// Longer than a block, grouped heads, with and without rotary positions, windows and a past.
    #[test]
    fn blocks_equal_composed() {
        let length = QUERIES_PER_BLOCK + 37;
        let linear = |d_in, d_out, salt| Linear::new("map", rows(d_in, d_out, salt), None);
        let rotary = Rope::new(6, 1e4, RopeScaling::None).turns(0..length);
        for (window, rotary, past) in [
            (None, None, 0),
            (None, Some(&rotary), 3),
            (Some(50), Some(&rotary), 0),
            (Some(2), None, 1),
        ] {
            let layer = Attention {
                query: linear(8, 24, 1),
                key: linear(8, 12, 2),
                value: linear(8, 12, 3),
                output: linear(24, 8, 4),
                norms: None,
                shape: AttentionShape { window, ..AttentionShape::new(4, 2, 6) },
            };
            let heads = layer.project(rows(length, 8, 5));
            let remembered = |sequence| {
                let mut cache = KvCache::default();
                let old =
                    layer.gathered([24, 12, 12].map(|width| rows(past.max(1), width, 6)), None);
                if past > 0 {
                    cache.append(old.keys, old.values, window);
                }
                layer.remembered(sequence, Some(&mut cache))
            };
            let composed = remembered(layer.gathered_composed(heads.clone(), rotary));
            let composed = layer.mix_composed(&composed).into_data();
            let blocks = layer.mix_blocks(&remembered(layer.gathered(heads, rotary)));
            blocks.into_data().assert_approx_eq::<f32>(&composed, Tolerance::absolute(2e-5));
        }
    }
    /// Tokens one by one, then some together, then one by one again: what each sees is the same in plain
    /// memory and in tensors. Two sums of a dozen products of about 1: 1e-5.
    #[test]
    fn one_by_one_equals_composed() {
        let linear = |d_in, d_out, salt| Linear::new("map", rows(d_in, d_out, salt), None);
        for window in [None, Some(1), Some(3)] {
            let layer = Attention {
                query: linear(8, 24, 1),
                key: linear(8, 12, 2),
                value: linear(8, 12, 3),
                output: linear(24, 8, 4),
                norms: None,
                shape: AttentionShape { window, ..AttentionShape::new(4, 2, 6) },
            };
            let (mut plain, mut composed) = (KvCache::default(), KvCache::default());
            for (salt, length) in [5, 1, 1, 1, 1, 3, 1, 1].into_iter().enumerate() {
                let heads = layer.project(rows(length, 8, salt));
                let inputs = layer.gathered(heads, None);
                let found = layer.attend(vec![inputs.clone()], Some(&mut plain)).into_data();
                let inputs = layer.remembered(inputs, Some(&mut composed));
                let expected = layer.mix_composed(&inputs).into_data();
                found.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
            }
        }
    }
}
