//! Normalisation by rows.

use burn::tensor::{Tensor, module::layer_norm};

use crate::tensor::{Values, is_plain_cpu, matrix};

/// `y = x / sqrt(mean(x²) + epsilon) · weight` (Zhang & Sennrich 2019, arXiv:1910.07467).
#[derive(Clone, Debug)]
pub(crate) struct RmsNorm {
    /// `[d_model]`.
    pub(crate) weight: Tensor<1>,
    /// Added to the mean square.
    pub(crate) epsilon: f64,
}

impl RmsNorm {
    /// The normalised rows, and `x` itself for the residual stream (so that no copy of it is made).
    ///
    /// # Shapes
    /// - `x` and both results: `[tokens, d_model]`
    pub(crate) fn forward(&self, x: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let device = x.device();
        if !is_plain_cpu(&device) {
            return (self.forward_composed(x.clone()), x);
        }
        let shape = x.dims();
        let weight = Values::of(self.weight.clone());
        let x = Values::of(x);
        let normed = vector::rms_norm(&x, &weight, self.epsilon as f32);
        (matrix(normed, shape, &device), x.into_tensor())
    }

    /// The same with every gain 1.
    pub(crate) fn without_gain(&self) -> Self {
        Self { weight: self.weight.ones_like(), epsilon: self.epsilon }
    }

    fn forward_composed(&self, x: Tensor<2>) -> Tensor<2> {
        let features = 1;
        let mean_square = x.clone().powi_scalar(2).mean_dim(features);
        x / mean_square.add_scalar(self.epsilon).sqrt() * self.weight.clone().unsqueeze()
    }
}

/// `y = (x − mean) / sqrt(variance + epsilon) · weight + bias` (Ba et al. 2016, arXiv:1607.06450).
#[derive(Clone, Debug)]
pub(crate) struct LayerNorm {
    /// `[d_model]`.
    pub(crate) weight: Tensor<1>,
    /// `[d_model]`.
    pub(crate) bias: Tensor<1>,
    /// Added to the variance.
    pub(crate) epsilon: f64,
}

impl LayerNorm {
    /// # Shapes
    /// - `x` and result: `[tokens, d_model]`
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        layer_norm(x, self.weight.clone(), Some(self.bias.clone()), self.epsilon)
    }

    /// The same with every gain 1 and every shift 0.
    pub(crate) fn without_gain(&self) -> Self {
        Self {
            weight: self.weight.ones_like(),
            bias: self.bias.zeros_like(),
            epsilon: self.epsilon,
        }
    }

    /// Gains and shifts.
    pub(crate) fn parameters(&self) -> usize {
        2 * self.weight.dims()[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tolerance};

    #[test]
    fn fused_rms_norm_equals_composed() {
        let device = Device::flex();
        let x = matrix((0..60).map(|i| (i % 13) as f32 - 6.0).collect(), [5, 12], &device);
        let weight = Tensor::arange(1..13, &device).float() / 7.0;
        let norm = RmsNorm { weight, epsilon: 1e-5 };
        let composed = norm.forward_composed(x.clone()).into_data();
        let (normed, same) = norm.forward(x.clone());
        same.into_data().assert_eq(&x.into_data(), true);
        normed.into_data().assert_approx_eq::<f32>(&composed, Tolerance::absolute(1e-6));
    }
}
