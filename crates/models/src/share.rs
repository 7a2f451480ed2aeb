//! How much of a model each prunable part is: a mild loss on a small part is seen for what it is.

use std::collections::BTreeSet;

use burn::tensor::Tensor;

use crate::{Linear, Mixer, Model};

/// Shares of a whole model, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PartShare {
    /// Of the stored parameters.
    pub parameters: f64,
    /// Of the operations of a token.
    pub flops: f64,
    /// Of the bytes that mixers carry from token to token: states and the reach of convolutions.
    pub state_bytes: f64,
}

/// The feed-forward blocks: all that goes into and out of their neurons. Weights that several uses share
/// count once among the parameters and once a use among the operations.
///
/// `tokens` is the length of a sequence, which the operations of attention depend on.
pub fn ffn_share(model: &dyn Model, tokens: usize) -> PartShare {
    let blocks = model.ffn_blocks();
    let mut maps = Maps::default();
    for (site, ffn) in model.ffns().into_iter().enumerate() {
        maps.add(&ffn.linears(), !blocks[..site].contains(&blocks[site]));
    }
    maps.share(model, tokens)
}

/// The attentions: all that goes into and out of their heads, the norms of heads, and the products of
/// queries with keys and of what comes of them with values. Weights that several uses share count as for
/// [`ffn_share`].
///
/// `tokens` as for [`ffn_share`].
pub fn attention_share(model: &dyn Model, tokens: usize) -> PartShare {
    let (facts, blocks) = (model.facts(), model.attention_blocks());
    let mut maps = Maps::default();
    for (site, attention) in model.attentions().into_iter().enumerate() {
        let is_first = !blocks[..site].contains(&blocks[site]);
        maps.add(&attention.linears(), is_first);
        maps.parameters += if is_first { attention.norm_parameters() } else { 0 };
    }
    let share = maps.share(model, tokens);
    let products = 2.0 * (facts.attention_width * tokens) as f64;
    PartShare { flops: share.flops + products / facts.flops_per_token(tokens), ..share }
}

/// What linear maps come to.
#[derive(Default)]
struct Maps {
    /// Stored, biases and adapters too.
    parameters: usize,
    /// Of these, what a token is multiplied with, at every use.
    multiplied: usize,
}

impl Maps {
    /// Adds one use; what is shared is stored with the first.
    fn add(&mut self, by_input: &[Vec<&Linear>], is_first: bool) {
        for linears in by_input {
            for parts in linears.chunk_by(|one, next| one.name == next.name) {
                for (i, linear) in parts.iter().enumerate() {
                    // Parts are one map in a checkpoint, so their adapters begin with the same matrix.
                    let (own, adapter) = (entries(&linear.weight), adapter_entries(linear, i == 0));
                    let bias = linear.bias.as_ref().map_or(0, |bias| bias.dims()[0]);
                    self.parameters += adapter + if is_first { own + bias } else { 0 };
                    self.multiplied += own + adapter;
                }
            }
        }
    }

    fn share(&self, model: &dyn Model, tokens: usize) -> PartShare {
        let facts = model.facts();
        PartShare {
            parameters: self.parameters as f64 / facts.parameters as f64,
            flops: 2.0 * self.multiplied as f64 / facts.flops_per_token(tokens),
            state_bytes: 0.0,
        }
    }
}

fn entries(weight: &Tensor<2>) -> usize {
    weight.dims().iter().product()
}

fn adapter_entries(linear: &Linear, begins: bool) -> usize {
    linear.adapter.as_ref().map_or(0, |adapter| {
        let down = if begins { entries(&adapter.down) } else { 0 };
        down + entries(&adapter.up)
    })
}

/// The matrices inside the blocks, those of attention, of feed-forward blocks and of mixers: what cuts of
/// weights and of layers act on. Biases, norms and adapters are not counted.
///
/// `tokens` as for [`ffn_share`].
pub fn matrix_share(model: &dyn Model, tokens: usize) -> PartShare {
    let facts = model.facts();
    let mut seen = BTreeSet::new();
    let (mut parameters, mut multiplied) = (0, 0);
    for layer in 0..facts.layers {
        for matrix in model.linears(layer) {
            let (d_in, d_out) = matrix.widths();
            multiplied += d_in * d_out;
            if seen.insert(matrix.name().to_string()) {
                parameters += d_in * d_out;
            }
        }
    }
    PartShare {
        parameters: parameters as f64 / facts.parameters as f64,
        flops: 2.0 * multiplied as f64 / facts.flops_per_token(tokens),
        state_bytes: 0.0,
    }
}

/// The state channels: what projects and convolves B and C, and the recurrence itself.
///
/// `tokens` as for [`ffn_share`].
pub fn state_share(model: &dyn Model, tokens: usize) -> PartShare {
    let facts = model.facts();
    let mut of_part = Parts::default();
    for mixer in model.mixers() {
        let of_mixer = Parts::of(mixer);
        of_part.parameters += of_mixer.parameters;
        of_part.flops += of_mixer.flops;
        of_part.carried += of_mixer.carried;
        of_part.all_carried += of_mixer.all_carried;
    }
    let Parts { parameters, flops, carried, all_carried } = of_part;
    PartShare {
        parameters: parameters as f64 / facts.parameters as f64,
        flops: flops as f64 / facts.flops_per_token(tokens),
        state_bytes: if all_carried == 0 { 0.0 } else { carried as f64 / all_carried as f64 },
    }
}

/// What the state channels of one mixer hold and do.
#[derive(Default)]
struct Parts {
    parameters: usize,
    flops: usize,
    /// Entries that are carried from token to token for the channels.
    carried: usize,
    /// The same of the whole mixer.
    all_carried: usize,
}

impl Parts {
    fn of(mixer: &Mixer) -> Self {
        let shape = mixer.shape();
        let (d_model, _) = mixer.input.widths();
        let [kernel, convolved] = mixer.convolution.taps.dims();
        // B and C.
        let columns = 2 * shape.mixed();
        let biases =
            usize::from(mixer.input.bias.is_some()) + usize::from(mixer.convolution.bias.is_some());
        let entries = shape.inner() * shape.channels;
        Self {
            parameters: columns * (d_model + kernel + biases),
            flops: 2 * columns * (d_model + kernel) + 5 * entries,
            carried: entries + columns * (kernel - 1),
            all_carried: entries + convolved * (kernel - 1),
        }
    }
}
