//! The recurrence of a mixer by chunks of tokens, so that nearly all of it is matrix products (state-space
//! duality: Dao & Gu 2024, arXiv:2405.21060, section 6). The formulas are in `vector`'s `scan.rs`.

use burn::tensor::{Device, Tensor, TensorData};
use vector::{Decays, Token, step};

use super::{mixer::MixerShape, recurrence::Dynamics};
use crate::{
    StateInputs,
    tensor::{Values, into_values, matrix},
};

/// Axes of a chunk's cubes, after its groups or heads: its tokens.
pub(super) const TOKENS: usize = 1;
/// What a token has in that part.
pub(super) const FEATURES: usize = 2;

/// One sequence on the CPU, `chunk` tokens at a time.
///
/// `past` is the state before the sequence (empty for zeros), to be brought up to its end.
pub(super) fn chunked(
    dynamics: Dynamics<'_>,
    inputs: StateInputs,
    past: Option<&mut Vec<f32>>,
    chunk: usize,
) -> Tensor<2> {
    let MixerShape { heads, groups, channels, .. } = dynamics.shape;
    let StateInputs { x, b, c, dt } = inputs;
    let rows = 0;
    let [tokens, width] = x.dims();
    let device = x.device();
    let [rates, skip] = [dynamics.rates, dynamics.skip].map(|t| Values::of(t.clone()));
    let dt = Values::of(dt);
    let before = past.as_deref().filter(|state| !state.is_empty());
    let mut state =
        before.map(|state| cube(state.clone(), [groups, width / groups, channels], &device));
    let mut y = vec![0.0; tokens * width];
    for first in (0..tokens).step_by(chunk) {
        let length = chunk.min(tokens - first);
        let chunk = Chunk {
            shape: dynamics.shape,
            length,
            decays: Decays::new(&dt[first * heads..][..length * heads], &rates),
            x: x.clone().narrow(rows, first, length),
            b: cut(&b, first, length, groups, channels),
            c: cut(&c, first, length, groups, channels),
        };
        chunk.read(state.as_ref(), &skip, &mut y[first * width..][..length * width]);
        if first + length < tokens || past.is_some() {
            state = Some(chunk.write(state));
        }
    }
    if let (Some(past), Some(state)) = (past, state) {
        *past = into_values(state);
    }
    matrix(y, [tokens, width], &device)
}

/// Some tokens of a sequence.
struct Chunk {
    shape: MixerShape,
    length: usize,
    decays: Decays,
    /// `[tokens, heads · head_dim]`.
    x: Tensor<2>,
    /// `[groups, tokens, channels]`.
    b: Tensor<3>,
    /// `[groups, tokens, channels]`.
    c: Tensor<3>,
}

impl Chunk {
    /// What the tokens read of each other and of the state before them.
    ///
    /// # Shapes
    /// - `state`: `[groups, heads / groups · head_dim, channels]`
    /// - `y`: `[tokens, heads · head_dim]`
    fn read(&self, state: Option<&Tensor<3>>, skip: &[f32], y: &mut [f32]) {
        let MixerShape { heads, head_dim, groups, .. } = self.shape;
        let scores = self.c.clone().matmul(self.b.clone().swap_dims(TOKENS, FEATURES));
        let mixing = self.decays.mix(&Values::of(scores), skip);
        let mixing = cube(mixing, [heads, self.length, self.length], &self.x.device());
        let near = mixing.matmul(cut(&self.x, 0, self.length, heads, head_dim));
        let far = state.map(|state| {
            Values::of(self.c.clone().matmul(state.clone().swap_dims(TOKENS, FEATURES)))
        });
        self.decays.read(&Values::of(near), far.as_deref(), groups, y);
    }

    /// The state after them.
    fn write(&self, state: Option<Tensor<3>>) -> Tensor<3> {
        let groups = self.shape.groups;
        let mut weighed = Values::of(self.x.clone());
        self.decays.weigh(&mut weighed);
        let weighed =
            cut(&weighed.into_tensor(), 0, self.length, groups, self.shape.inner() / groups);
        let written = weighed.swap_dims(TOKENS, FEATURES).matmul(self.b.clone());
        let Some(state) = state else { return written };
        let mut state = Values::of(state);
        self.decays.carry(&mut state, &Values::of(written));
        state.into_tensor()
    }
}

fn cube(values: Vec<f32>, shape: [usize; 3], device: &Device) -> Tensor<3> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Rows of a matrix whose columns are so many parts of a width: `[parts, rows, width]`, without a copy.
fn cut(x: &Tensor<2>, first: usize, rows: usize, parts: usize, width: usize) -> Tensor<3> {
    let (tokens, by_part) = (0, 1);
    x.clone().narrow(tokens, first, rows).reshape([rows, parts, width]).swap_dims(tokens, by_part)
}

/// The same token by token with the loops of `vector`: a piece of a few tokens is not worth a chunk.
pub(super) fn stepped(
    dynamics: Dynamics<'_>,
    inputs: StateInputs,
    past: Option<&mut Vec<f32>>,
) -> Tensor<2> {
    let MixerShape { heads, head_dim, groups, channels } = dynamics.shape;
    let [tokens, width] = inputs.x.dims();
    let device = inputs.x.device();
    let [x, b, c, dt] = [inputs.x, inputs.b, inputs.c, inputs.dt].map(Values::of);
    let [rates, skip] = [dynamics.rates, dynamics.skip].map(|t| Values::of(t.clone()));
    let mut none = Vec::new();
    let state = past.unwrap_or(&mut none);
    state.resize(heads * head_dim * channels, 0.0);
    let mut out = vec![0.0; tokens * width];
    for (t, y) in out.chunks_exact_mut(width).enumerate() {
        let token = Token {
            x: &x[t * width..][..width],
            b: &b[t * groups * channels..][..groups * channels],
            c: &c[t * groups * channels..][..groups * channels],
            dt: &dt[t * heads..][..heads],
        };
        step(state, token, &rates, &skip, y);
    }
    matrix(out, [tokens, width], &device)
}

#[cfg(test)]
mod tests {
    use super::super::{recurrence::recurrence, scan_composed::composed};
    use super::*;
    use proptest::prelude::*;

    const HEADS: usize = 4;

    fn tensor<const D: usize>(shape: [usize; D], seed: usize, of: fn(f32) -> f32) -> Tensor<D> {
        let value = |i: usize| ((i * 2 + 1) * (seed * 2 + 7919) % 8191) as f32 / 4096.0 - 1.0;
        let values: Vec<f32> = (0..shape.iter().product()).map(|i| of(value(i))).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    /// Time steps from 0.0003 to 3, decays from 1/16 to 16.
    fn case(shape: MixerShape, tokens: usize, seed: usize) -> ([Tensor<1>; 2], StateInputs) {
        let inputs = StateInputs {
            x: tensor([tokens, shape.inner()], seed, |v| v),
            b: tensor([tokens, shape.mixed()], seed + 1, |v| v),
            c: tensor([tokens, shape.mixed()], seed + 2, |v| v),
            dt: tensor([tokens, shape.heads], seed + 3, |v| 10_f32.powf(2.0 * v - 1.5)),
        };
        let rates = tensor([shape.heads], seed + 4, |v| -16_f32.powf(v));
        ([rates, tensor([shape.heads], seed + 5, |v| v)], inputs)
    }

    fn rows(inputs: &StateInputs, first: usize, length: usize) -> StateInputs {
        let tokens = 0;
        let of = |t: &Tensor<2>| t.clone().narrow(tokens, first, length);
        let StateInputs { x, b, c, dt } = inputs;
        StateInputs { x: of(x), b: of(b), c: of(c), dt: of(dt) }
    }

    fn assert_close(found: &[f32], expected: &[f32], what: &str) {
        assert_eq!(found.len(), expected.len(), "{what}");
        let size = expected.iter().fold(1.0_f32, |size, v| size.max(v.abs()));
        for (found, expected) in found.iter().zip(expected) {
            let difference = (found - expected).abs();
            assert!(difference < 1e-5 * size, "{what}: {found} is not {expected} (of {size})");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// All ways give the same `y` and the same last state, whatever the chunk, and pieces give what
        /// the whole gives.
        ///
        /// A number of `y` is a sum of up to 300 · 12 products, most of them decayed; each way rounds it
        /// in another order, the plain recurrence too, which is no more exact than the others. 1e-5 of the
        /// largest number is 84 units in its last place; the worst case met, which is kept, is 36 off.
        #[test]
        fn every_way_is_the_recurrence(
            groups in prop::sample::select(vec![1, 2, HEADS]),
            chunk in prop::sample::select(vec![1, 5, 16, 64]),
            length in 0_usize..6,
            start in any::<bool>(),
            cuts in prop::collection::vec(1_usize..90, 1..6),
            seed in 0_usize..1000,
        ) {
            let tokens = [1, 2, (chunk - 1).max(1), chunk, chunk + 1, 300][length];
            let shape = MixerShape { heads: HEADS, head_dim: 3, groups, channels: 12 };
            let ([rates, skip], inputs) = case(shape, tokens, seed);
            let dynamics = Dynamics { shape, rates: &rates, skip: &skip };
            let before = match start {
                true => into_values(tensor([shape.inner() * shape.channels], seed + 6, |v| v)),
                false => Vec::new(),
            };
            let mut after = before.clone();
            let y = into_values(recurrence(dynamics, inputs.clone(), Some(&mut after)));
            type Way<'a> = &'a dyn Fn(StateInputs, Option<&mut Vec<f32>>) -> Tensor<2>;
            let ways: [(&str, Way<'_>); 3] = [
                ("chunked", &|inputs, past| chunked(dynamics, inputs, past, chunk)),
                ("composed", &|inputs, past| composed(dynamics, inputs, 1, past, chunk)),
                ("stepped", &|inputs, past| stepped(dynamics, inputs, past)),
            ];
            for (name, way) in ways {
                let mut state = before.clone();
                assert_close(&into_values(way(inputs.clone(), Some(&mut state))), &y, name);
                assert_close(&state, &after, name);
                if !start {
                    assert_close(&into_values(way(inputs.clone(), None)), &y, name);
                }
                let (mut state, mut pieces, mut first) = (before.clone(), Vec::new(), 0);
                for length in cuts.iter().cycle() {
                    let length = (tokens - first).min(*length);
                    if length == 0 {
                        break;
                    }
                    pieces.extend(into_values(way(rows(&inputs, first, length), Some(&mut state))));
                    first += length;
                }
                assert_close(&pieces, &y, name);
                assert_close(&state, &after, name);
            }
        }
    }
}
