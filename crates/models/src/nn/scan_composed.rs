//! The chunked scan by tensor operations alone: for every device but the CPU, for gradients, and as a
//! second opinion on the fused one.
//!
//! All chunks of all sequences are worked on at once; what passes from chunk to chunk is one more
//! product with a matrix of decays (Dao & Gu 2024, arXiv:2405.21060, section 6).

use burn::tensor::{Tensor, TensorData};

use super::{
    mixer::MixerShape,
    recurrence::Dynamics,
    scan::{FEATURES, TOKENS},
};
use crate::{StateInputs, tensor::into_values};

/// Sequences of one length, laid end to end, in chunks of `chunk` tokens.
///
/// `past` is the state before the (only) sequence (empty for zeros), to be brought up to its end.
pub(super) fn composed(
    dynamics: Dynamics<'_>,
    inputs: StateInputs,
    sequences: usize,
    past: Option<&mut Vec<f32>>,
    chunk: usize,
) -> Tensor<2> {
    let MixerShape { heads, head_dim, groups, channels } = dynamics.shape;
    let [rows, width] = inputs.x.dims();
    let tokens = rows / sequences;
    let chunk = chunk.min(tokens);
    let cuts = Cuts { sequences, tokens, chunk };
    let chunks = Chunks {
        shape: dynamics.shape,
        cuts,
        x: cuts.of(&inputs.x, heads, head_dim),
        b: cuts.of(&inputs.b, groups, channels),
        c: cuts.of(&inputs.c, groups, channels),
        dt: cuts.of(&inputs.dt, heads, 1),
    };
    let mut before = past.as_deref().cloned().unwrap_or_default();
    before.resize(sequences * width * channels, 0.0);
    let before = TensorData::new(before, [sequences * heads, 1, head_dim * channels]);
    let (y, last) = chunks.run(dynamics, Tensor::from_data(before, &inputs.x.device()));
    if let Some(past) = past {
        *past = into_values(last);
    }
    cuts.joined(y, heads)
}

/// How sequences of one length are cut into chunks of one length; the last one is filled up with tokens
/// whose time step is 0, which neither decay nor write anything.
#[derive(Clone, Copy)]
struct Cuts {
    sequences: usize,
    tokens: usize,
    chunk: usize,
}

impl Cuts {
    /// Chunks of a sequence.
    fn each(self) -> usize {
        self.tokens.div_ceil(self.chunk)
    }

    /// Chunks of all sequences.
    fn all(self) -> usize {
        self.sequences * self.each()
    }

    /// Columns that are so many parts of a width: `[chunks · parts, tokens, width]`.
    fn of(self, x: &Tensor<2>, parts: usize, width: usize) -> Tensor<3> {
        let Self { sequences, tokens, chunk } = self;
        let (by_token, by_part) = (1, 2);
        let mut x: Tensor<3> = x.clone().reshape([sequences, tokens, parts * width]);
        let missing = self.each() * chunk - tokens;
        if missing > 0 {
            let none = Tensor::zeros([sequences, missing, parts * width], &x.device());
            x = Tensor::cat(vec![x, none], by_token);
        }
        let x: Tensor<4> = x.reshape([self.all(), chunk, parts, width]);
        x.swap_dims(by_token, by_part).reshape([self.all() * parts, chunk, width])
    }

    /// `[chunks · parts, tokens, width]` as rows of tokens again.
    fn joined(self, y: Tensor<3>, parts: usize) -> Tensor<2> {
        let Self { sequences, tokens, chunk } = self;
        let (by_part, by_token) = (1, 2);
        let [_, _, width] = y.dims();
        let y: Tensor<4> = y.reshape([self.all(), parts, chunk, width]);
        let y: Tensor<3> =
            y.swap_dims(by_part, by_token).reshape([sequences, self.each() * chunk, parts * width]);
        let y = if self.each() * chunk == tokens { y } else { y.narrow(TOKENS, 0, tokens) };
        y.reshape([sequences * tokens, parts * width])
    }

    /// `[chunks · heads, 1, n]` of every chunk as `[sequences · heads, chunks, n]`.
    fn by_head(self, of_chunks: Tensor<3>, heads: usize) -> Tensor<3> {
        let (by_chunk, by_head) = (1, 2);
        let [_, _, n] = of_chunks.dims();
        let x: Tensor<4> = of_chunks.reshape([self.sequences, self.each(), heads, n]);
        x.swap_dims(by_chunk, by_head).reshape([self.sequences * heads, self.each(), n])
    }

    /// The way back: `[sequences · heads, chunks, n]` as `[chunks · heads, 1, n]`.
    fn by_chunk(self, of_heads: Tensor<3>, heads: usize) -> Tensor<3> {
        let (by_head, by_chunk) = (1, 2);
        let [_, _, n] = of_heads.dims();
        let x: Tensor<4> = of_heads.reshape([self.sequences, heads, self.each(), n]);
        x.swap_dims(by_head, by_chunk).reshape([self.all() * heads, 1, n])
    }
}

/// All chunks; `heads` and `groups` below are those of all chunks.
struct Chunks {
    shape: MixerShape,
    cuts: Cuts,
    /// `[heads, tokens, head_dim]`.
    x: Tensor<3>,
    /// `[groups, tokens, channels]`.
    b: Tensor<3>,
    /// `[groups, tokens, channels]`.
    c: Tensor<3>,
    /// `[heads, tokens, 1]`.
    dt: Tensor<3>,
}

/// `exp(Σ over s < i ≤ t of terms[i])` for `s ≤ t`, else 0: sums of their own terms only, no differences.
///
/// # Shapes
/// - `terms`: `[parts, n, 1]`
/// - returns: `[parts, t, s]`
fn decays(terms: Tensor<3>) -> Tensor<3> {
    let [parts, n, _] = terms.dims();
    terms.expand([parts, n, n]).tril(-1).cumsum(TOKENS).exp().tril(0)
}

impl Chunks {
    /// `y` `[heads, tokens, head_dim]` and the last states `[sequences · heads, 1, head_dim · channels]`,
    /// from the states before the sequences.
    fn run(self, dynamics: Dynamics<'_>, before: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let MixerShape { heads: each_heads, head_dim, groups, channels } = self.shape;
        let (of_group, length) = (each_heads / groups, self.cuts.chunk);
        let (heads, groups) = (self.cuts.all() * each_heads, self.cuts.all() * groups);
        let Self { x, b, c, dt, cuts, .. } = self;
        let [rates, skip] = [dynamics.rates, dynamics.skip].map(|t| -> Tensor<3> {
            let t: Tensor<4> = t.clone().reshape([1, each_heads, 1, 1]);
            t.expand([cuts.all(), each_heads, 1, 1]).reshape([heads, 1, 1])
        });
        let terms = dt.clone() * rates;
        let since_start = terms.clone().cumsum(TOKENS);
        let total = since_start.clone().narrow(TOKENS, length - 1, 1);
        let decays_within = decays(terms);

        let last = decays_within.clone().narrow(TOKENS, length - 1, 1).swap_dims(TOKENS, FEATURES);
        let weighed = (x.clone() * last * dt.clone()).swap_dims(TOKENS, FEATURES);
        let written = weighed.reshape([groups, of_group * head_dim, length]).matmul(b.clone());
        let written = written.reshape([heads, 1, head_dim * channels]);
        let (states, last) = passed(cuts, each_heads, before, written, total);

        let scores: Tensor<4> =
            c.clone().matmul(b.swap_dims(TOKENS, FEATURES)).unsqueeze_dim(TOKENS);
        let scores = scores.expand([groups, of_group, length, length]);
        let weights = decays_within * dt.swap_dims(TOKENS, FEATURES);
        let near = (scores.reshape([heads, length, length]) * weights).matmul(x.clone());
        let states = states.reshape([groups, of_group * head_dim, channels]);
        let far = c.matmul(states.swap_dims(TOKENS, FEATURES));
        let by_head = TOKENS + 1;
        let far = far.reshape([groups, length, of_group, head_dim]).swap_dims(TOKENS, by_head);
        let far = far.reshape([heads, length, head_dim]) * since_start.exp();
        (near + far + x * skip, last)
    }
}

/// The state before every chunk, `[chunks · heads, 1, n]`, and after the last, `[sequences · heads, 1, n]`.
///
/// # Shapes
/// - `before`: `[sequences · heads, 1, n]`, the states before the sequences
/// - `written`: `[chunks · heads, 1, n]`, what each chunk leaves of itself at its end
/// - `total`: `[chunks · heads, 1, 1]`, Σ Δ·A of each chunk
fn passed(
    cuts: Cuts,
    heads: usize,
    before: Tensor<3>,
    written: Tensor<3>,
    total: Tensor<3>,
) -> (Tensor<3>, Tensor<3>) {
    let by_chunk = 1;
    let [parts, _, _] = before.dims();
    let start = Tensor::zeros([parts, 1, 1], &before.device());
    let terms = Tensor::cat(vec![start, cuts.by_head(total, heads)], by_chunk);
    let left = Tensor::cat(vec![before, cuts.by_head(written, heads)], by_chunk);
    let states = decays(terms).matmul(left);
    let chunks = cuts.each();
    let first = cuts.by_chunk(states.clone().narrow(by_chunk, 0, chunks), heads);
    (first, states.narrow(by_chunk, chunks, 1))
}
