//! Mamba-2 mixers: the memory of a model.

use std::ops::Range;

use burn::tensor::{Tensor, activation::softplus};
use vector::{Columns, time_steps};

use super::{
    Linear,
    convolution::Convolution,
    gated_norm::GatedNorm,
    recurrence::{Dynamics, recurrence},
    scan::{chunked, stepped},
    scan_composed::composed,
};
use crate::{
    Batch, Executor, ExecutorError, RecurrentState, StateInputs, StateSite,
    tensor::{Values, is_plain_cpu, matrix},
};

/// Tokens of a chunk of the scan: longer ones cost more within (their square), shorter ones read and
/// write the state more often. Anything from 64 to 128 is within 5 % of the best, measured with 24 and
/// 64 heads of 64 and 128 channels.
const CHUNK: usize = 96;

/// The same where gradients are recorded: every step over the square of a chunk is taken some thirty
/// times there, so shorter ones pay.
const CHUNK_WITH_GRADIENTS: usize = 32;

/// Pieces of up to this many tokens are stepped through: a chunk reads and writes the state some ten
/// times, however short it is.
const STEPPED: usize = 8;

/// Sizes of a mixer's recurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MixerShape {
    /// Heads, `H`.
    pub heads: usize,
    /// Entries of a head, `P`.
    pub head_dim: usize,
    /// Groups, `G`: head `h` reads and writes by the `B` and `C` of group `h // (H / G)`.
    pub groups: usize,
    /// State channels of a group, `N`.
    pub channels: usize,
}

impl MixerShape {
    /// Width of `x`, of the gate and of the output: `H·P`.
    pub fn inner(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of `B` and of `C`: `G·N`.
    pub fn mixed(&self) -> usize {
        self.groups * self.channels
    }

    /// Width of the convolution: `x`, `B` and `C`.
    pub(crate) fn convolved(&self) -> usize {
        self.inner() + 2 * self.mixed()
    }

    /// Width of the input projection: the gate, `x`, `B`, `C` and the time steps.
    pub(crate) fn projected(&self) -> usize {
        self.inner() + self.convolved() + self.heads
    }

    /// Columns of the input projection that are convolved; the gate stands before them.
    fn convolved_columns(&self) -> Range<usize> {
        self.inner()..self.inner() + self.convolved()
    }

    /// Columns of the input projection that `B` and `C` come from.
    pub(super) fn mixing_columns(&self) -> [Range<usize>; 2] {
        let [_, b, c] = self.parts();
        [b, c].map(|part| self.inner() + part.start..self.inner() + part.end)
    }

    /// Columns of the input projection that the time steps come from.
    fn time_columns(&self) -> Range<usize> {
        self.convolved_columns().end..self.projected()
    }

    /// `x`, `B` and `C` among the columns that are convolved.
    fn parts(&self) -> [Range<usize>; 3] {
        let (x, b) = (self.inner(), self.inner() + self.mixed());
        [0..x, x..b, b..self.convolved()]
    }
}

/// A Mamba-2 mixer (Dao & Gu 2024, arXiv:2405.21060, section 7.1):
///
/// ```text
/// gate, xBC, raw = u·W_in                x, B, C = silu(convolution(xBC))
/// Δ = clamp(softplus(raw + bias))        y = recurrence(x, B, C, Δ; A, D)
/// output = norm(y · silu(gate))·W_out
/// ```
#[derive(Clone, Debug)]
pub struct Mixer {
    pub(crate) shape: MixerShape,
    /// `[d_model, projected]`: gate, `x`, `B`, `C`, time steps, side by side.
    pub(crate) input: Linear,
    /// Over `x`, `B` and `C`.
    pub(crate) convolution: Convolution,
    /// `[heads]`.
    pub(crate) dt_bias: Tensor<1>,
    /// Least and largest `Δ`.
    pub(crate) dt_limits: [f32; 2],
    /// `ln(−A)`, as a checkpoint has it: `[heads]`.
    pub(crate) log_rates: Tensor<1>,
    /// `A`, negative: `[heads]`.
    pub(crate) rates: Tensor<1>,
    /// `D`: `[heads]`.
    pub(crate) skip: Tensor<1>,
    pub(crate) norm: GatedNorm,
    /// `[inner, d_model]`.
    pub(crate) output: Linear,
}

impl Mixer {
    /// Its sizes.
    pub fn shape(&self) -> MixerShape {
        self.shape
    }

    /// Its maps, those that read the same input together.
    pub(crate) fn linears(&self) -> Vec<Vec<&Linear>> {
        vec![vec![&self.input], vec![&self.output]]
    }

    /// The same to be changed.
    pub(crate) fn linears_mut(&mut self) -> Vec<Vec<&mut Linear>> {
        vec![vec![&mut self.input], vec![&mut self.output]]
    }

    /// Parameters of its convolution.
    pub fn convolution_parameters(&self) -> usize {
        let [kernel, width] = self.convolution.taps.dims();
        (kernel + usize::from(self.convolution.bias.is_some())) * width
    }

    fn dynamics(&self) -> Dynamics<'_> {
        Dynamics { shape: self.shape, rates: &self.rates, skip: &self.skip }
    }

    /// What the mixer adds to the residual stream.
    ///
    /// # Shapes
    /// - `u` and result: `[tokens, d_model]`
    pub(crate) fn forward(
        &self,
        u: Tensor<2>,
        [index, layer]: [usize; 2],
        batch: &Batch,
        past: Option<&mut RecurrentState>,
        executor: &mut dyn Executor,
    ) -> Result<Tensor<2>, ExecutorError> {
        let site = StateSite { index, layer, mixer: self, batch };
        let projected = self.input.forward(u);
        let normed = if is_plain_cpu(&projected.device()) {
            self.mix_fused(projected, &site, past, executor)?
        } else {
            self.mix_composed(projected, &site, past, executor)?
        };
        Ok(self.output.forward(normed))
    }

    /// The CPU path: fused loops over columns of the projection, which is never taken apart.
    fn mix_fused(
        &self,
        projected: Tensor<2>,
        site: &StateSite<'_>,
        mut past: Option<&mut RecurrentState>,
        executor: &mut dyn Executor,
    ) -> Result<Tensor<2>, ExecutorError> {
        let (shape, device) = (self.shape, projected.device());
        let projected = Values::of(projected);
        let columns = |range| Columns::new(&projected, shape.projected(), range);
        let convolved = self.convolution.forward_fused(
            columns(shape.convolved_columns()),
            site.batch.sequences(),
            past.as_deref_mut().map(|past| &mut past.convolution),
            shape.parts(),
        );
        let tokens = site.batch.n_tokens();
        let of_tokens = |values: Vec<f32>| {
            let width = values.len() / tokens;
            matrix(values, [tokens, width], &device)
        };
        let [x, b, c] = convolved.map(of_tokens);
        let bias = Values::of(self.dt_bias.clone());
        let dt = time_steps(columns(shape.time_columns()), &bias, self.dt_limits);
        let inputs = StateInputs { x, b, c, dt: of_tokens(dt) };
        let y = executor.state(site, inputs, past)?;
        Ok(self.norm.forward_fused(y, columns(0..shape.inner())))
    }

    /// The path of every other device, and the oracle of the fused one.
    fn mix_composed(
        &self,
        projected: Tensor<2>,
        site: &StateSite<'_>,
        mut past: Option<&mut RecurrentState>,
        executor: &mut dyn Executor,
    ) -> Result<Tensor<2>, ExecutorError> {
        let (rows, features) = (0, 1);
        let columns = |x: &Tensor<2>, range: Range<usize>| {
            x.clone().narrow(features, range.start, range.len())
        };
        let before = columns(&projected, self.shape.convolved_columns());
        let convolved = match site.batch.equal_sequences() {
            Some(n) => {
                let past = past.as_deref_mut().map(|past| &mut past.convolution);
                self.convolution.forward_composed(before, n, past)
            }
            None => {
                let of_sequence = |sequence: Range<usize>| {
                    let before = before.clone().narrow(rows, sequence.start, sequence.len());
                    let mut own = past.as_deref().map(|past| past.convolution.clone());
                    self.convolution.forward_composed(before, 1, own.as_mut())
                };
                Tensor::cat(site.batch.sequences().map(of_sequence).collect(), rows)
            }
        };
        let [x, b, c] = self.shape.parts().map(|part| columns(&convolved, part));
        let raw = columns(&projected, self.shape.time_columns());
        let [low, high] = self.dt_limits;
        let dt = softplus(raw + self.dt_bias.clone().unsqueeze(), 1.0).clamp(low, high);
        let y = executor.state(site, StateInputs { x, b, c, dt }, past)?;
        Ok(self.norm.forward_composed(y, columns(&projected, 0..self.shape.inner())))
    }

    /// The recurrence, as fast as the device allows.
    ///
    /// `past` is the state that the sequence of the batch left behind, to be brought up to its last token;
    /// where several sequences go on with it, it stays as it is. Without it every sequence starts from zero.
    ///
    /// # Shapes
    /// - returns: `[tokens, heads · head_dim]`
    pub fn scan(
        &self,
        inputs: StateInputs,
        batch: &Batch,
        past: Option<&mut RecurrentState>,
    ) -> Tensor<2> {
        let device = inputs.x.device();
        if !is_plain_cpu(&device) {
            let chunk = if device.is_autodiff() { CHUNK_WITH_GRADIENTS } else { CHUNK };
            return match batch.equal_sequences().filter(|n| *n == 1 || past.is_none()) {
                Some(n) => {
                    composed(self.dynamics(), inputs, n, past.map(|past| &mut past.state), chunk)
                }
                None => by_sequence(inputs, batch, past, |inputs, past| {
                    composed(self.dynamics(), inputs, 1, past, chunk)
                }),
            };
        }
        by_sequence(inputs, batch, past, |inputs, past| {
            let [tokens, _] = inputs.x.dims();
            match tokens <= STEPPED {
                true => stepped(self.dynamics(), inputs, past),
                false => chunked(self.dynamics(), inputs, past, CHUNK),
            }
        })
    }

    /// The same as docs/SPEC.md section 5 states it, token by token and in plain loops: the oracle of
    /// [`Mixer::scan`].
    ///
    /// # Shapes
    /// - returns: `[tokens, heads · head_dim]`
    pub fn recurrence(
        &self,
        inputs: StateInputs,
        batch: &Batch,
        past: Option<&mut RecurrentState>,
    ) -> Tensor<2> {
        by_sequence(inputs, batch, past, |inputs, past| recurrence(self.dynamics(), inputs, past))
    }
}

/// Runs every sequence by itself.
fn by_sequence(
    inputs: StateInputs,
    batch: &Batch,
    past: Option<&mut RecurrentState>,
    mut run: impl FnMut(StateInputs, Option<&mut Vec<f32>>) -> Tensor<2>,
) -> Tensor<2> {
    let rows = 0;
    let sequences: Vec<_> = batch.sequences().collect();
    if let [_] = sequences[..] {
        return run(inputs, past.map(|past| &mut past.state));
    }
    let parts = sequences.into_iter().map(|sequence| {
        let of = |t: &Tensor<2>| t.clone().narrow(rows, sequence.start, sequence.len());
        let inputs = StateInputs {
            x: of(&inputs.x),
            b: of(&inputs.b),
            c: of(&inputs.c),
            dt: of(&inputs.dt),
        };
        let mut own = past.as_deref().map(|past| past.state.clone());
        run(inputs, own.as_mut())
    });
    Tensor::cat(parts.collect(), rows)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{Dense, tensor::into_values};
    use burn::tensor::{Device, Tolerance};

    pub(in crate::nn) const D_MODEL: usize = 6;

    pub(in crate::nn) fn rows(n: usize, width: usize, salt: usize) -> Tensor<2> {
        let values = (0..n * width).map(|i| ((i * 31 + salt) % 29) as f32 / 14.0 - 1.0).collect();
        matrix(values, [n, width], &Device::flex())
    }

    fn row(width: usize, salt: usize) -> Tensor<1> {
        rows(1, width, salt).reshape([width])
    }

    pub(in crate::nn) fn mixer(bias: bool) -> Mixer {
        let shape = MixerShape { heads: 4, head_dim: 3, groups: 2, channels: 5 };
        let linear = |d_in, d_out, salt| {
            Linear::new("map", rows(d_in, d_out, salt) * 0.5, bias.then(|| row(d_out, salt)))
        };
        Mixer {
            shape,
            input: linear(D_MODEL, shape.projected(), 1),
            convolution: Convolution {
                taps: rows(4, shape.convolved(), 2),
                bias: bias.then(|| row(shape.convolved(), 3)),
            },
            dt_bias: row(shape.heads, 4),
            dt_limits: [0.3, 1.5],
            log_rates: row(shape.heads, 5),
            rates: row(shape.heads, 5).exp().neg(),
            skip: row(shape.heads, 6),
            norm: GatedNorm { weight: row(shape.inner(), 7), epsilon: 1e-5, group: 6 },
            output: linear(shape.inner(), D_MODEL, 8),
        }
    }

    /// Three sequences, one shorter than the convolution's reach, one of several chunks; and one
    /// sequence in pieces. Numbers of about 1 through two products of a dozen terms: 1e-5.
    #[test]
    fn fused_equals_composed() {
        let lengths = [2, CHUNK + 40, 7];
        let ids = vec![0; lengths[1]];
        for mixer in [mixer(false), mixer(true)] {
            let run = |fused: bool, batch: &Batch, salt, past: Option<&mut RecurrentState>| {
                let projected = mixer.input.forward(rows(batch.n_tokens(), D_MODEL, salt));
                let site = StateSite { index: 0, layer: 0, mixer: &mixer, batch };
                match fused {
                    true => mixer.mix_fused(projected, &site, past, &mut Dense),
                    false => mixer.mix_composed(projected, &site, past, &mut Dense),
                }
                .expect("dense")
                .into_data()
            };
            let tolerance = Tolerance::absolute(1e-5);
            let batch = Batch::new(lengths.map(|length| &ids[..length]));
            let fused = run(true, &batch, 9, None);
            fused.assert_approx_eq::<f32>(&run(false, &batch, 9, None), tolerance);

            let mut states = [RecurrentState::default(), RecurrentState::default()];
            for (seen, length) in [(0, 1), (1, 2), (3, 30), (33, 1)] {
                let batch = Batch::after(seen, &ids[..length]);
                let fused = run(true, &batch, seen, Some(&mut states[0]));
                let composed = run(false, &batch, seen, Some(&mut states[1]));
                fused.assert_approx_eq::<f32>(&composed, tolerance);
                assert_eq!(states[0].convolution, states[1].convolution);
            }
            let sizes = states.map(|state| (state.convolution.len(), state.state.len()));
            assert_eq!(sizes[0], (3 * mixer.shape.convolved(), 4 * 3 * 5));
        }
    }

    /// The scan of a batch is that of its sequences, and the oracle agrees.
    #[test]
    fn a_batch_is_scanned_by_sequence() {
        let mixer = mixer(false);
        let MixerShape { heads, .. } = mixer.shape;
        let ids = [0; 40];
        let inputs = |n| StateInputs {
            x: rows(n, mixer.shape.inner(), 1),
            b: rows(n, mixer.shape.mixed(), 2),
            c: rows(n, mixer.shape.mixed(), 3),
            dt: rows(n, heads, 4).abs(),
        };
        let batch = Batch::new([&ids[..30], &ids[..10]]);
        let together = into_values(mixer.scan(inputs(40), &batch, None));
        let first = into_values(mixer.scan(inputs(30), &Batch::new([&ids[..30]]), None));
        assert_eq!(together[..first.len()], first);
        let oracle = into_values(mixer.recurrence(inputs(40), &batch, None));
        for (found, expected) in together.iter().zip(oracle) {
            assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
        }
    }
}
