//! `ablation`: what dropping one neuron or one state channel alone does to the loss, measured by running
//! the model.
//!
//! One dense pass gives the residual stream in front of every layer. A dropped neuron changes nothing
//! before its own layer, so many copies of that stream go on from there, each without one neuron.

use std::ops::Range;

use models::{
    Batch, Dense, Executor, ExecutorError, FfnSite, Model, RecurrentState, SiteLayers, StateInputs,
    StateSite, Tensor, Values, nll_by_sequence, streams,
};

use crate::Draw;

/// Tokens of all copies of a sequence that run together.
const TOKENS_AT_A_TIME: usize = 4096;

/// What is left out of a copy, at one site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// A neuron, at every token.
    Neuron(usize),
    /// A state channel (pooled index, group by group), at every token.
    Channel(usize),
    /// What reading the channel adds, in every other window of so many tokens, from the second on: what
    /// it holds is left alone.
    ChannelRead(usize, usize),
    /// The same windows, and what they would have written too.
    ChannelWrite(usize, usize),
}

impl Dropped {
    fn is_of_state(self) -> bool {
        !matches!(self, Self::Neuron(_))
    }

    fn column(self) -> usize {
        match self {
            Self::Neuron(i) | Self::Channel(i) => i,
            Self::ChannelRead(i, _) | Self::ChannelWrite(i, _) => i,
        }
    }

    /// Whether it is dropped at a token, counted from the first of its sequence.
    fn at(self, token: usize) -> bool {
        match self {
            Self::Neuron(_) | Self::Channel(_) => true,
            Self::ChannelRead(_, window) | Self::ChannelWrite(_, window) => {
                (token / window) % 2 == 1
            }
        }
    }
}

/// One thing to leave out at one site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ablation {
    /// Index among the feed-forward sites, or among the state sites.
    pub site: usize,
    /// What is dropped there.
    pub dropped: Dropped,
}

/// Some of `n` neurons or channels, ascending: those with the smallest of the place's draws.
pub fn sample(draw: &Draw, n: usize, of: usize) -> Vec<usize> {
    let draws = draw.uniform(n);
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| draws[*a].total_cmp(&draws[*b]).then(a.cmp(b)));
    order.truncate(of);
    order.sort_unstable();
    order
}

/// The rise of `Σ NLL` of one sequence, nats, for each of `ablations`, in their order.
///
/// # Errors
/// What the model refuses.
pub fn ablate(
    model: &dyn Model,
    ids: &[u32],
    ablations: &[Ablation],
) -> Result<Vec<f64>, ExecutorError> {
    let batch = Batch::new([ids]);
    let layers = model.facts().layers;
    let places = SiteLayers::of(model)?;
    let layer_of = |ablation: &Ablation| {
        let layers = if ablation.dropped.is_of_state() { &places.states } else { &places.ffn };
        layers.get(ablation.site).copied()
    };
    let streams = streams(model, &batch)?;
    let dense = nll_by_sequence(model, &model.finish(streams[layers].clone()), &batch)?[0];
    let mut rises = vec![0.0; ablations.len()];
    let copies = (TOKENS_AT_A_TIME / ids.len()).max(1);
    for (layer, stream) in streams[..layers].iter().enumerate() {
        let here: Vec<usize> =
            (0..ablations.len()).filter(|i| layer_of(&ablations[*i]) == Some(layer)).collect();
        for some in here.chunks(copies) {
            let of_copies: Vec<Ablation> = some.iter().map(|i| ablations[*i]).collect();
            let found = without(model, ids, stream, layer..layers, &of_copies)?;
            some.iter().zip(found).for_each(|(i, nll)| rises[*i] = nll - dense);
        }
    }
    Ok(rises)
}

/// Σ NLL of copies of one sequence, each without something, from the stream in front of a layer.
fn without(
    model: &dyn Model,
    ids: &[u32],
    stream: &Tensor<2>,
    layers: Range<usize>,
    copies: &[Ablation],
) -> Result<Vec<f64>, ExecutorError> {
    let (rows, first) = (0, layers.start..layers.start + 1);
    let batch = Batch::new(copies.iter().map(|_| ids));
    let x = Tensor::cat(vec![stream.clone(); copies.len()], rows);
    let x = model.through(first.clone(), x, &batch, None, &mut Without { copies })?;
    let x = model.through(first.end..layers.end, x, &batch, None, &mut Dense)?;
    nll_by_sequence(model, &model.finish(x), &batch)
}

/// Runs every sequence of a batch without what its copy leaves out.
struct Without<'a> {
    copies: &'a [Ablation],
}

impl Without<'_> {
    /// Zeroes in `values` what the copies leave out at a site.
    fn zero(
        &self,
        batch: &Batch,
        values: Tensor<2>,
        drops: impl Fn(&Ablation) -> bool,
    ) -> Tensor<2> {
        if !self.copies.iter().any(&drops) {
            return values;
        }
        let [_, width] = values.dims();
        let mut values = Values::of(values);
        for (rows, copy) in batch.sequences().zip(self.copies).filter(|(_, copy)| drops(copy)) {
            for (token, row) in rows.enumerate() {
                if copy.dropped.at(token) {
                    values[row * width + copy.dropped.column()] = 0.0;
                }
            }
        }
        values.into_tensor()
    }
}

impl Executor for Without<'_> {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        let drops = |copy: &Ablation| !copy.dropped.is_of_state() && copy.site == site.index;
        Ok(site.ffn.project(self.zero(site.batch, site.ffn.hidden(x), drops)))
    }

    fn state(
        &mut self,
        site: &StateSite<'_>,
        inputs: StateInputs,
        past: Option<&mut RecurrentState>,
    ) -> Result<Tensor<2>, ExecutorError> {
        let reads = |copy: &Ablation| copy.dropped.is_of_state() && copy.site == site.index;
        let writes = |copy: &Ablation| {
            reads(copy) && matches!(copy.dropped, Dropped::Channel(_) | Dropped::ChannelWrite(..))
        };
        let c = self.zero(site.batch, inputs.c, reads);
        let b = self.zero(site.batch, inputs.b, writes);
        Ok(site.mixer.scan(StateInputs { b, c, ..inputs }, site.batch, past))
    }
}
