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

/// Tokens of a chunk of the scan. The longer, the more work inside a chunk (its square); the shorter,
/// the more often the state is read and written.
static CHUNK: std::sync::LazyLock<usize> =
    std::sync::LazyLock::new(|| std::env::var("Q").map_or(64, |q| q.parse().unwrap()));

/// Pieces of up to this many tokens are stepped through; a chunk pays off beyond.
static STEPPED: std::sync::LazyLock<usize> =
    std::sync::LazyLock::new(|| std::env::var("STEPPED").map_or(4, |q| q.parse().unwrap()));

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
        let convolved = site.batch.sequences().map(|sequence| {
            let past = past.as_deref_mut().map(|past| &mut past.convolution);
            let before = before.clone().narrow(rows, sequence.start, sequence.len());
            self.convolution.forward_composed(before, past)
        });
        let convolved = Tensor::cat(convolved.collect(), rows);
        let [x, b, c] = self.shape.parts().map(|part| columns(&convolved, part));
        let raw = columns(&projected, self.shape.time_columns());
        let [low, high] = self.dt_limits;
        let dt = softplus(raw + self.dt_bias.clone().unsqueeze(), 1.0).clamp(low, high);
        let y = executor.state(site, StateInputs { x, b, c, dt }, past)?;
        Ok(self.norm.forward_composed(y, columns(&projected, 0..self.shape.inner())))
    }

    /// The recurrence, as fast as the device allows.
    ///
    /// `past` is the state that the (single) sequence of the batch left behind, to be brought up to its
    /// last token; without it every sequence starts from zero.
    ///
    /// # Shapes
    /// - returns: `[tokens, heads · head_dim]`
    pub fn scan(
        &self,
        inputs: StateInputs,
        batch: &Batch,
        past: Option<&mut RecurrentState>,
    ) -> Tensor<2> {
        let fused = is_plain_cpu(&inputs.x.device());
        by_sequence(inputs, batch, past, |inputs, past| {
            let [tokens, _] = inputs.x.dims();
            match fused {
                true if tokens <= *STEPPED => stepped(self.dynamics(), inputs, past),
                true => chunked(self.dynamics(), inputs, past, *CHUNK),
                false => composed(self.dynamics(), inputs, past, *CHUNK),
            }
        })
    }

    /// The same as spec.md section 5 states it, token by token and in plain loops: the oracle of
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
    mut past: Option<&mut RecurrentState>,
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
        run(inputs, past.as_deref_mut().map(|past| &mut past.state))
    });
    Tensor::cat(parts.collect(), rows)
}
