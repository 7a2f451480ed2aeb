//! Gated activations in one pass.

use rayon::prelude::*;

use crate::{exp::exp, wide::vectorised};

/// The non-linearity of a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x · sigmoid(x)`; its gated form is SwiGLU (Shazeer 2020, arXiv:2002.05202).
    Silu,
}

const CHUNK: usize = 8192;

/// `gate[i] = act(gate[i]) · up[i]`, in place.
///
/// # Shapes
/// - `gate`, `up`: the same length, any shape flattened
pub fn gate_mul(activation: Activation, gate: &mut [f32], up: &[f32]) {
    assert_eq!(gate.len(), up.len(), "gate and up have one entry per neuron and token");
    gate.par_chunks_mut(CHUNK)
        .zip(up.par_chunks(CHUNK))
        .for_each(|(gate, up)| gate_mul_chunk(activation, gate, up));
}

vectorised! {
    fn gate_mul_chunk<'a>(activation: Activation, gate: &'a mut [f32], up: &'a [f32]) -> () {
        match activation {
            Activation::Relu => {
                for (g, u) in gate.iter_mut().zip(up) {
                    *g = g.max(0.0) * u;
                }
            }
            Activation::Silu => {
                for (g, u) in gate.iter_mut().zip(up) {
                    *g = *g / (1.0 + exp(-*g)) * u;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The fused loop against `f64`, entry by entry: relative 1e-6 (two roundings and `exp`).
        #[test]
        fn equals_naive(pairs in prop::collection::vec((-30.0_f32..30.0, -3.0_f32..3.0), 1..100)) {
            let (gate, up): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            for activation in [Activation::Relu, Activation::Silu] {
                let mut fused = gate.clone();
                gate_mul(activation, &mut fused, &up);
                for ((f, g), u) in fused.iter().zip(&gate).zip(&up) {
                    let g = f64::from(*g);
                    let naive = f64::from(*u) * match activation {
                        Activation::Relu => g.max(0.0),
                        Activation::Silu => g / (1.0 + (-g).exp()),
                    };
                    prop_assert!((f64::from(*f) - naive).abs() <= 1e-6 * naive.abs() + 1e-30);
                }
            }
        }
    }
}
