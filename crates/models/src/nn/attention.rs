//! Causal self-attention with grouped key and value heads, over sequences laid end to end.

use burn::tensor::{Tensor, TensorData, module::attention, ops::AttentionModuleOptions};
use vector::{Rotary, causal_softmax, gather_heads, scatter_heads};

use super::Linear;
use crate::{
    Batch,
    tensor::{Values, is_plain_cpu, matrix},
};

/// Queries a block of the CPU path takes at a time: keys to the right of the block are not touched.
const QUERIES_PER_BLOCK: usize = 128;

/// How positions enter the attention.
#[derive(Clone, Debug)]
pub(crate) enum Positions {
    /// They were added to the embeddings.
    Learned,
    /// Queries and keys are turned by them.
    Rotary(Rotary),
}

impl Positions {
    fn rotary(&self) -> Option<&Rotary> {
        match self {
            Self::Learned => None,
            Self::Rotary(rotary) => Some(rotary),
        }
    }
}

/// `softmax(Q·Kᵀ / sqrt(head_dim))·V`, causal, then the output projection (Vaswani et al. 2017;
/// grouped heads: Ainslie et al. 2023, arXiv:2305.13245).
#[derive(Clone, Debug)]
pub(crate) struct Attention {
    pub(crate) query: Linear,
    pub(crate) key: Linear,
    pub(crate) value: Linear,
    pub(crate) output: Linear,
    /// Query heads.
    pub(crate) heads: usize,
    /// Key and value heads; divides `heads`.
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
}

impl Attention {
    /// # Shapes
    /// - `x` and result: `[tokens, d_model]`, tokens of all sequences of `batch`
    pub(crate) fn forward(&self, x: Tensor<2>, batch: &Batch, positions: &Positions) -> Tensor<2> {
        let query = self.query.forward(x.clone());
        let key = self.key.forward(x.clone());
        let value = self.value.forward(x);
        let mixed = if is_plain_cpu(&query.device()) {
            self.mix_blocks(query, key, value, batch, positions)
        } else {
            self.mix_composed(query, key, value, batch, positions)
        };
        self.output.forward(mixed)
    }

    fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }

    /// The CPU path: blocks of queries against the keys they may see, softmax in one pass.
    fn mix_blocks(
        &self,
        query: Tensor<2>,
        key: Tensor<2>,
        value: Tensor<2>,
        batch: &Batch,
        positions: &Positions,
    ) -> Tensor<2> {
        let device = query.device();
        let shape = query.dims();
        let (q_width, kv_width) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let (query, key, value) = (Values::of(query), Values::of(key), Values::of(value));
        let mut out = vec![0.0; query.len()];
        let cube = |values, rows| -> Tensor<3> {
            let shape = [self.kv_heads, rows, self.head_dim];
            Tensor::from_data(TensorData::new(values, shape), &device)
        };
        for sequence in batch.sequences() {
            let (start, length) = (sequence.start, sequence.len());
            let kv_rows = start * kv_width..(start + length) * kv_width;
            let rotary = positions.rotary();
            let kv = (self.kv_heads, self.head_dim);
            let keys = gather_heads(&key[kv_rows.clone()], kv.0, kv.1, 1.0, rotary);
            let values = gather_heads(&value[kv_rows], kv.0, kv.1, 1.0, None);
            let (keys, values) = (cube(keys, length), cube(values, length));
            let q_rows = &query[start * q_width..(start + length) * q_width];
            let queries = gather_heads(q_rows, self.heads, self.head_dim, self.scale(), rotary);
            for first in (0..length).step_by(QUERIES_PER_BLOCK) {
                let rows = QUERIES_PER_BLOCK.min(length - first);
                let visible = first + rows;
                // The query heads of one key head stand below each other.
                let block = self.block_of_queries(&queries, length, first, rows);
                let block = cube(block, self.heads / self.kv_heads * rows);
                let seen = |t: &Tensor<3>| t.clone().narrow(1, 0, visible);
                let mut scores = Values::of(block.matmul(seen(&keys).swap_dims(1, 2)));
                causal_softmax(&mut scores, rows, visible, first);
                let mixed = Values::of(scores.into_tensor().matmul(seen(&values)));
                let to = &mut out[(start + first) * q_width..(start + visible) * q_width];
                scatter_heads(&mixed, self.heads, self.head_dim, to);
            }
        }
        matrix(out, shape, &device)
    }

    fn block_of_queries(
        &self,
        queries: &[f32],
        length: usize,
        first: usize,
        rows: usize,
    ) -> Vec<f32> {
        let rows_of = first * self.head_dim..(first + rows) * self.head_dim;
        let mut block = Vec::with_capacity(self.heads * rows_of.len());
        for head in queries.chunks_exact(length * self.head_dim) {
            block.extend_from_slice(&head[rows_of.clone()]);
        }
        block
    }

    /// The path of every other device, and the oracle of the CPU path.
    fn mix_composed(
        &self,
        query: Tensor<2>,
        key: Tensor<2>,
        value: Tensor<2>,
        batch: &Batch,
        positions: &Positions,
    ) -> Tensor<2> {
        let (tokens, heads_axis) = (0, 1);
        let groups = self.heads / self.kv_heads;
        let parts = batch.sequences().map(|rows| {
            let heads_of = |x: &Tensor<2>, heads: usize| -> Tensor<4> {
                x.clone()
                    .narrow(tokens, rows.start, rows.len())
                    .reshape([1, rows.len(), heads, self.head_dim])
                    .swap_dims(1, 2)
            };
            let turn = |x: Tensor<4>| match positions.rotary() {
                Some(rotary) => self.turn(x, rotary),
                None => x,
            };
            let repeat = |x: Tensor<4>| -> Tensor<4> {
                let x: Tensor<5> = x.unsqueeze_dim(heads_axis + 1);
                x.repeat_dim(heads_axis + 1, groups).reshape([
                    1,
                    self.heads,
                    rows.len(),
                    self.head_dim,
                ])
            };
            let options = AttentionModuleOptions { is_causal: true, ..Default::default() };
            attention(
                turn(heads_of(&query, self.heads)),
                repeat(turn(heads_of(&key, self.kv_heads))),
                repeat(heads_of(&value, self.kv_heads)),
                None,
                None,
                options,
            )
            .swap_dims(1, 2)
            .reshape([rows.len(), self.heads * self.head_dim])
        });
        let parts: Vec<Tensor<2>> = parts.collect();
        Tensor::cat(parts, tokens)
    }

    /// Rotary positions by tensor operations: `x·cos + rotate_half(x)·sin`.
    fn turn(&self, x: Tensor<4>, rotary: &Rotary) -> Tensor<4> {
        let [_, _, length, head_dim] = x.dims();
        let (half, features) = (head_dim / 2, 3);
        let table = |values: &[f32]| -> Tensor<4> {
            let values = values[..length * half].to_vec();
            let table: Tensor<4> =
                Tensor::from_data(TensorData::new(values, [1, 1, length, half]), &x.device());
            Tensor::cat(vec![table.clone(), table], features)
        };
        let low = x.clone().narrow(features, 0, half);
        let high = x.clone().narrow(features, half, half);
        let rotated = Tensor::cat(vec![-high, low], features);
        x.clone() * table(rotary.cos()) + rotated * table(rotary.sin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tolerance};

    /// Two sequences, one longer than a block, grouped heads, with and without rotary positions.
    #[test]
    fn blocks_equal_composed() {
        let device = Device::flex();
        let (heads, kv_heads, head_dim) = (4, 2, 6);
        let lengths = [QUERIES_PER_BLOCK + 37, 5];
        let ids = vec![0; lengths[0]];
        let batch = Batch::new([&ids[..], &ids[..lengths[1]]]);
        let linear = |d_in: usize, d_out: usize, salt: usize| Linear {
            weight: matrix(
                (0..d_in * d_out).map(|i| ((i * 31 + salt) % 19) as f32 / 9.0 - 1.0).collect(),
                [d_in, d_out],
                &device,
            ),
            bias: None,
        };
        let layer = Attention {
            query: linear(8, 24, 1),
            key: linear(8, 12, 2),
            value: linear(8, 12, 3),
            output: linear(24, 8, 4),
            heads,
            kv_heads,
            head_dim,
        };
        let n = batch.n_tokens();
        let x = matrix(
            (0..n * 8).map(|i| ((i * 13) % 29) as f32 / 14.0 - 1.0).collect(),
            [n, 8],
            &device,
        );
        for positions in
            [Positions::Learned, Positions::Rotary(Rotary::new(head_dim, 1e4, lengths[0]))]
        {
            let qkv = || {
                (
                    layer.query.forward(x.clone()),
                    layer.key.forward(x.clone()),
                    layer.value.forward(x.clone()),
                )
            };
            let (q, k, v) = qkv();
            let composed = layer.mix_composed(q, k, v, &batch, &positions).into_data();
            let (q, k, v) = qkv();
            let blocks = layer.mix_blocks(q, k, v, &batch, &positions).into_data();
            blocks.assert_approx_eq::<f32>(&composed, Tolerance::absolute(2e-5));
        }
    }
}
