//! The recurrence of docs/SPEC.md section 5, token by token: what every other way is compared with.

use burn::tensor::Tensor;

use super::mixer::MixerShape;
use crate::{
    StateInputs,
    tensor::{Values, matrix},
};

/// What a recurrence keeps from token to token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dynamics<'a> {
    pub(super) shape: MixerShape,
    /// `A`, negative: `[heads]`.
    pub(super) rates: &'a Tensor<1>,
    /// `D`: `[heads]`.
    pub(super) skip: &'a Tensor<1>,
}

/// One sequence: `H = exp(Δ·A)·H + Δ·x·Bᵀ`, `y = H·C + D·x`, all of it in `f32`.
///
/// `past` is the state before the sequence (empty for zeros), to be brought up to its end.
pub(super) fn recurrence(
    dynamics: Dynamics<'_>,
    inputs: StateInputs,
    past: Option<&mut Vec<f32>>,
) -> Tensor<2> {
    let MixerShape { heads, head_dim, groups, channels } = dynamics.shape;
    let [tokens, width] = inputs.x.dims();
    let device = inputs.x.device();
    let [x, b, c, dt] = [inputs.x, inputs.b, inputs.c, inputs.dt].map(Values::of);
    let [rates, skip] = [dynamics.rates, dynamics.skip].map(|t| Values::of(t.clone()));
    let mut state = past.as_deref().cloned().unwrap_or_default();
    state.resize(heads * head_dim * channels, 0.0);
    let mut y = Vec::with_capacity(tokens * width);
    for t in 0..tokens {
        for h in 0..heads {
            let group = (t * groups + h / (heads / groups)) * channels;
            let (b, c) = (&b[group..][..channels], &c[group..][..channels]);
            let dt = dt[t * heads + h];
            let decay = (dt * rates[h]).exp();
            for p in 0..head_dim {
                let x = x[(t * heads + h) * head_dim + p];
                let row = &mut state[(h * head_dim + p) * channels..][..channels];
                let mut sum = skip[h] * x;
                for ((state, b), c) in row.iter_mut().zip(b).zip(c) {
                    *state = decay * *state + dt * x * b;
                    sum += c * *state;
                }
                y.push(sum);
            }
        }
    }
    if let Some(past) = past {
        *past = state;
    }
    matrix(y, [tokens, width], &device)
}
