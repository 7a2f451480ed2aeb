//! The chunked scan by tensor operations alone: for every device but the CPU, for gradients, and as a
//! second opinion on the fused one.

use burn::tensor::{Tensor, TensorData};

use super::{
    mixer::MixerShape,
    recurrence::Dynamics,
    scan::{FEATURES, PARTS, TOKENS, cut},
};
use crate::{StateInputs, tensor::into_values};

/// One sequence, `chunk` tokens at a time.
///
/// `past` is the state before the sequence (empty for zeros), to be brought up to its end.
pub(super) fn composed(
    dynamics: Dynamics<'_>,
    inputs: StateInputs,
    past: Option<&mut Vec<f32>>,
    chunk: usize,
) -> Tensor<2> {
    let MixerShape { heads, head_dim, groups, channels } = dynamics.shape;
    let rows = 0;
    let [tokens, width] = inputs.x.dims();
    let device = inputs.x.device();
    let mut before = past.as_deref().cloned().unwrap_or_default();
    before.resize(width * channels, 0.0);
    let before = TensorData::new(before, [groups, width / groups, channels]);
    let mut state: Tensor<3> = Tensor::from_data(before, &device);
    let mut parts = Vec::new();
    for first in (0..tokens).step_by(chunk) {
        let length = chunk.min(tokens - first);
        let chunk = Chunk {
            shape: dynamics.shape,
            length,
            x: cut(&inputs.x, first, length, heads, head_dim),
            b: cut(&inputs.b, first, length, groups, channels),
            c: cut(&inputs.c, first, length, groups, channels),
            dt: cut(&inputs.dt, first, length, heads, 1),
        };
        let (y, after) = chunk.run(dynamics, state);
        parts.push(y.swap_dims(PARTS, TOKENS).reshape([length, width]));
        state = after;
    }
    if let Some(past) = past {
        *past = into_values(state);
    }
    Tensor::cat(parts, rows)
}

/// Some tokens of a sequence.
struct Chunk {
    shape: MixerShape,
    length: usize,
    /// `[heads, tokens, head_dim]`.
    x: Tensor<3>,
    /// `[groups, tokens, channels]`.
    b: Tensor<3>,
    /// `[groups, tokens, channels]`.
    c: Tensor<3>,
    /// `[heads, tokens, 1]`.
    dt: Tensor<3>,
}

impl Chunk {
    /// `y` `[heads, tokens, head_dim]` and the state after the chunk,
    /// `[groups, heads / groups · head_dim, channels]`.
    fn run(self, dynamics: Dynamics<'_>, state: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let MixerShape { heads, head_dim, groups, channels } = self.shape;
        let (of_group, length) = (heads / groups, self.length);
        let Self { x, b, c, dt, .. } = self;
        let [rates, skip] = [dynamics.rates, dynamics.skip]
            .map(|t| -> Tensor<3> { t.clone().reshape([heads, 1, 1]) });
        let terms = dt.clone() * rates;
        // Σ over s < i ≤ t of Δ_i·A, a sum of its own terms only: `[heads, t, s]`.
        let sums = terms.clone().expand([heads, length, length]).tril(-1).cumsum(TOKENS);
        let last = sums.clone().narrow(TOKENS, length - 1, 1).swap_dims(TOKENS, FEATURES);
        let since_start = terms.cumsum(TOKENS).exp();

        let scores: Tensor<4> =
            c.clone().matmul(b.clone().swap_dims(TOKENS, FEATURES)).unsqueeze_dim(TOKENS);
        let scores = scores.expand([groups, of_group, length, length]);
        let decays = sums.exp().tril(0) * dt.clone().swap_dims(TOKENS, FEATURES);
        let near = (scores.reshape([heads, length, length]) * decays).matmul(x.clone());
        let far = c.matmul(state.clone().swap_dims(TOKENS, FEATURES));
        let by_head = TOKENS + 1;
        let far = far.reshape([groups, length, of_group, head_dim]).swap_dims(TOKENS, by_head);
        let far = far.reshape([heads, length, head_dim]) * since_start.clone();
        let y = near + far + x.clone() * skip;

        let weighed = (x * last.exp() * dt).swap_dims(TOKENS, FEATURES);
        let written = weighed.reshape([groups, of_group * head_dim, length]).matmul(b);
        let left = since_start.narrow(TOKENS, length - 1, 1);
        let kept = state.reshape([heads, head_dim, channels]) * left;
        (y, kept.reshape([groups, of_group * head_dim, channels]) + written)
    }
}
