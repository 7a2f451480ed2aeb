//! The non-linearities of feed-forward blocks, alone and gated, in one pass.

use rayon::prelude::*;

use crate::{erf::erf, exp::exp, wide::vectorised};

/// The non-linearity of a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x · sigmoid(x)`; its gated form is SwiGLU (Shazeer 2020, arXiv:2002.05202).
    Silu,
    /// `x · Φ(x) = x/2 · (1 + erf(x/√2))` (Hendrycks & Gimpel 2016, arXiv:1606.08415).
    Gelu,
    /// Its approximation `x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))`, of the same paper.
    GeluTanh,
}

impl Activation {
    #[inline(always)]
    fn of(self, x: f32) -> f32 {
        /// `2·√(2/π)`: `(1 + tanh u)/2` is the logistic function of `2u`.
        const TWICE_ROOT: f32 = 1.595_769;
        match self {
            Self::Relu => x.max(0.0),
            Self::Silu => x / (1.0 + exp(-x)),
            Self::Gelu => 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2)),
            Self::GeluTanh => {
                let u = TWICE_ROOT * x * (0.044_715 * x).mul_add(x, 1.0);
                x / (1.0 + exp(-u))
            }
        }
    }
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

/// `x[i] = act(x[i])`, in place.
pub fn activate(activation: Activation, x: &mut [f32]) {
    x.par_chunks_mut(CHUNK).for_each(|x| activate_chunk(activation, x));
}

vectorised! {
    fn gate_mul_chunk<'a>(activation: Activation, gate: &'a mut [f32], up: &'a [f32]) -> () {
        // One loop a function, so that each is vectorised by itself.
        macro_rules! run {
            ($kind:expr) => {
                for (g, u) in gate.iter_mut().zip(up) {
                    *g = $kind.of(*g) * u;
                }
            };
        }
        match activation {
            Activation::Relu => run!(Activation::Relu),
            Activation::Silu => run!(Activation::Silu),
            Activation::Gelu => run!(Activation::Gelu),
            Activation::GeluTanh => run!(Activation::GeluTanh),
        }
    }
}

vectorised! {
    fn activate_chunk<'a>(activation: Activation, x: &'a mut [f32]) -> () {
        macro_rules! run {
            ($kind:expr) => {
                for x in x.iter_mut() {
                    *x = $kind.of(*x);
                }
            };
        }
        match activation {
            Activation::Relu => run!(Activation::Relu),
            Activation::Silu => run!(Activation::Silu),
            Activation::Gelu => run!(Activation::Gelu),
            Activation::GeluTanh => run!(Activation::GeluTanh),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Activation; 4] =
        [Activation::Relu, Activation::Silu, Activation::Gelu, Activation::GeluTanh];

    fn naive(activation: Activation, x: f64) -> f64 {
        match activation {
            Activation::Relu => x.max(0.0),
            Activation::Silu => x / (1.0 + (-x).exp()),
            Activation::Gelu => 0.5 * x * libm::erfc(-x / 2.0_f64.sqrt()),
            Activation::GeluTanh => {
                let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
                0.5 * x * (1.0 + u.tanh())
            }
        }
    }

    proptest! {
        /// The fused loops against `f64`, entry by entry. Relative 2e-6 (a few roundings and `exp`); the
        /// tails of the GELUs are differences of numbers near 1, so there 2e-7 of `x` is what f32 gives.
        #[test]
        fn equals_naive(pairs in prop::collection::vec((-30.0_f32..30.0, -3.0_f32..3.0), 1..100)) {
            let (gate, up): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            for activation in ALL {
                let mut fused = gate.clone();
                gate_mul(activation, &mut fused, &up);
                let mut alone = gate.clone();
                activate(activation, &mut alone);
                for (((f, a), g), u) in fused.iter().zip(&alone).zip(&gate).zip(&up) {
                    let expected = naive(activation, f64::from(*g));
                    let tail = match activation {
                        Activation::Gelu => 2e-7 * f64::from(g.abs()),
                        Activation::GeluTanh => 1e-9,
                        _ => 1e-30,
                    };
                    let bound = 2e-6 * expected.abs() + tail;
                    prop_assert!((f64::from(*a) - expected).abs() <= bound, "{activation:?}({g})");
                    let (expected, bound) = (f64::from(*u) * expected, f64::from(u.abs()) * bound);
                    prop_assert!((f64::from(*f) - expected).abs() <= bound + 1e-30);
                }
            }
        }
    }
}
