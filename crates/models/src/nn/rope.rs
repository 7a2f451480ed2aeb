//! Frequencies of rotary positions, plain or stretched for longer contexts.

use std::ops::Range;

use vector::Rotary;

use crate::saved::{Divided, SavedRope};

/// How the frequencies of a rotary embedding are changed (`rope_type` of `config.json`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RopeScaling {
    /// `default`: not at all.
    None,
    /// `linear`: all of them divided (Chen et al. 2023, arXiv:2306.15595).
    Linear { factor: f64 },
    /// `llama3`: low ones divided, high ones kept, a smooth step between (Llama 3.1; reference:
    /// `_compute_llama3_parameters` of transformers).
    Llama3 { factor: f64, low: f64, high: f64, original_positions: usize },
}

/// Inverse frequencies of one kind of layer: `theta^(-2i/head_dim)`, scaled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rope {
    inverse: Vec<f32>,
    /// The same before they are stretched.
    unscaled: Vec<f32>,
    theta: f64,
    scaling: RopeScaling,
}

impl Rope {
    /// In `f32`, step by step as the reference computes them.
    pub(crate) fn new(head_dim: usize, theta: f64, scaling: RopeScaling) -> Self {
        let plain =
            (0..head_dim / 2).map(|i| 1.0 / (theta as f32).powf((2 * i) as f32 / head_dim as f32));
        let unscaled: Vec<f32> = plain.collect();
        let inverse = unscaled.iter().map(|f| scaling.apply(*f)).collect();
        Self { inverse, unscaled, theta, scaling }
    }

    /// One entry a pair of features.
    pub(crate) fn inverse(&self) -> &[f32] {
        &self.inverse
    }

    /// The same before they are stretched.
    pub(crate) fn unscaled(&self) -> &[f32] {
        &self.unscaled
    }

    /// The base and what stretches it.
    pub(crate) fn saved(&self) -> SavedRope {
        let divided = match self.scaling {
            RopeScaling::None => Divided::Not,
            RopeScaling::Linear { factor } => Divided::By(factor),
            RopeScaling::Llama3 { .. } => {
                let pairs = self.unscaled.iter().zip(&self.inverse);
                Divided::Each(pairs.map(|(plain, own)| plain / own).collect())
            }
        };
        SavedRope { theta: self.theta, divided }
    }

    /// The turns of a range of positions.
    pub(crate) fn turns(&self, positions: Range<usize>) -> Rotary {
        Rotary::new(&self.inverse, positions)
    }
}

impl RopeScaling {
    fn apply(self, frequency: f32) -> f32 {
        match self {
            Self::None => frequency,
            Self::Linear { factor } => frequency / factor as f32,
            Self::Llama3 { factor, low, high, original_positions } => {
                let original = original_positions as f64;
                let wavelength = 2.0 * std::f32::consts::PI / frequency;
                if f64::from(wavelength) > original / low {
                    frequency / factor as f32
                } else if f64::from(wavelength) < original / high {
                    frequency
                } else {
                    let step =
                        (original as f32 / wavelength - low as f32) / (high as f32 - low as f32);
                    (1.0 - step) * frequency / factor as f32 + step * frequency
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long waves are stretched by the factor, short ones not, those between by something between.
    #[test]
    fn llama3_stretches_long_waves_only() {
        let scaling =
            RopeScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original_positions: 8192 };
        let (plain, scaled) = (Rope::new(64, 5e5, RopeScaling::None), Rope::new(64, 5e5, scaling));
        let ratios: Vec<f32> =
            plain.inverse.iter().zip(&scaled.inverse).map(|(p, s)| p / s).collect();
        assert_eq!((ratios[0], ratios[31]), (1.0, 8.0));
        assert!(ratios.is_sorted(), "{ratios:?}");
        assert!(ratios.iter().any(|r| *r > 1.01 && *r < 7.99), "{ratios:?}");
    }
}
