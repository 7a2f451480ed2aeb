//! What is zero anyway is not computed: the only skip that costs nothing but has to be found while the
//! model runs.

use models::{
    Dense, Executor, ExecutorError, Ffn, FfnSite, Linear, MatrixMemory, Tensor, Values, matrix,
};
use rayon::prelude::*;
use sparse::{
    Map, Rows, Zeros, gated_tiles, picked_outputs, plain_tiles, products, share_not_zero,
};

/// Above this share of entries that are not zero, the dense products of many tokens are faster (see
/// `examples/zero_speed.rs`).
const DENSE_ABOVE: f64 = 0.25;

/// Runs feed-forward blocks of ReLU neurons without the work that a zero makes needless; every other block
/// as it is.
///
/// One token: only the outgoing weights of neurons that are not zero are read, and in a gated block, whose
/// gate is computed first, only their incoming ones. The result is bit for bit the dense one where that
/// reads the same layout. Many tokens: the same in tiles, in another order of the sums, and densely where
/// too little is zero.
///
/// The idea of skipping a gated block behind its gate is that of "Sparser, Faster, Lighter Transformer
/// Language Models" (docs/SPEC.md section 6); OPT's is that of Deja Vu (Liu et al. 2023, arXiv:2310.17157),
/// here without a predictor.
#[derive(Clone, Copy, Debug, Default)]
pub struct ZeroSkipping;

impl Executor for ZeroSkipping {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        let ffn = site.ffn;
        let block = Block::of(ffn);
        match block.as_ref().and_then(Block::maps) {
            Some(maps) => Ok(without_zeros(ffn, maps, x)),
            None => Dense.ffn(site, x),
        }
    }
}

/// What of a block is read where it lies.
struct Block {
    /// Of a gated block.
    up: Option<MatrixMemory>,
    down: MatrixMemory,
}

/// How it lies there.
struct Maps<'a> {
    /// A row for every neuron; none where the block has no gate, or where rows lie otherwise.
    up: Option<Rows<'a>>,
    /// A row for every neuron.
    down: Rows<'a>,
}

impl Block {
    /// None where nothing is zero or nothing can be read in parts.
    fn of(ffn: &Ffn) -> Option<Self> {
        let is_plain = |map: &Linear| map.adapter.is_none() && map.tap.is_none();
        if ffn.activation != models::Activation::Relu || !is_plain(&ffn.down) {
            return None;
        }
        let of_up = ffn.gate.as_ref().filter(|_| is_plain(&ffn.up) && ffn.up.bias.is_none());
        Some(Self {
            up: of_up.and_then(|_| MatrixMemory::of(&ffn.up.weight)),
            down: MatrixMemory::of(&ffn.down.weight)?,
        })
    }

    fn maps(&self) -> Option<Maps<'_>> {
        let Map::ByInput(down) = self.down.map() else { return None };
        let up = self.up.as_ref().and_then(|up| match up.map() {
            Map::ByOutput(up) => Some(up),
            Map::ByInput(_) => None,
        });
        Some(Maps { up, down })
    }
}

/// # Shapes
/// - `x`: `[tokens, d_model]`
/// - returns: `[tokens, d_model]`
fn without_zeros(ffn: &Ffn, maps: Maps<'_>, x: Tensor<2>) -> Tensor<2> {
    let ([tokens, _], device) = (x.dims(), x.device());
    let y = match (&ffn.gate, maps.up) {
        (Some(gate), Some(up)) => {
            let mut gates = Values::of(gate.forward(x.clone()));
            relu(&mut gates);
            if tokens > 1 && share_not_zero(&gates) > DENSE_ABOVE {
                return ffn.project(gates.into_tensor() * ffn.up.forward(x));
            }
            match (tokens, Values::of(x)) {
                (1, x) => one_gated(&x, &mut gates, up, maps.down),
                (_, x) => gated_tiles(&x, &gates, up, maps.down),
            }
        }
        _ => {
            let h = Values::of(ffn.hidden(x));
            match tokens {
                1 => projected(&h, maps.down),
                _ if share_not_zero(&h) > DENSE_ABOVE => return ffn.project(h.into_tensor()),
                _ => plain_tiles(&h, maps.down),
            }
        }
    };
    let y = matrix(y, [tokens, maps.down.width()], &device);
    match &ffn.down.bias {
        Some(bias) => y + bias.clone().unsqueeze(),
        None => y,
    }
}

fn relu(gates: &mut [f32]) {
    const CHUNK: usize = 1 << 14;
    gates.par_chunks_mut(CHUNK).for_each(|gates| gates.iter_mut().for_each(|g| *g = g.max(0.0)));
}

/// One token of a gated block: behind its gate, only the rows of neurons that are on are read, twice.
fn one_gated(x: &[f32], gates: &mut [f32], up: Rows<'_>, down: Rows<'_>) -> Vec<f32> {
    let on = gates.iter().enumerate().filter(|(_, gate)| **gate != 0.0);
    let on: Vec<u32> = on.map(|(neuron, _)| neuron as u32).collect();
    for (neuron, up) in on.iter().zip(picked_outputs(x, up, &on)) {
        gates[*neuron as usize] *= up;
    }
    projected(gates, down)
}

fn projected(h: &[f32], down: Rows<'_>) -> Vec<f32> {
    products(h, &[Map::ByInput(down)], Zeros::Skip).pop().unwrap_or_default()
}
