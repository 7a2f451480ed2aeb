//! The gate and the norm behind a mixer's recurrence.

use burn::tensor::{Tensor, activation::silu};
use vector::{Columns, gated_rms_norm};

use crate::tensor::Values;

/// `g = y·silu(gate)`, then `g / sqrt(mean(g²) + epsilon) · weight`, with the mean over each group of
/// neighbouring columns.
#[derive(Clone, Debug)]
pub(crate) struct GatedNorm {
    /// `[width]`.
    pub(crate) weight: Tensor<1>,
    /// Added to the mean square.
    pub(crate) epsilon: f64,
    /// Columns of a group; divides the width.
    pub(crate) group: usize,
}

impl GatedNorm {
    /// The CPU path.
    ///
    /// # Shapes
    /// - `y`, `gate` and result: `[tokens, width]`
    pub(crate) fn forward_fused(&self, y: Tensor<2>, gate: Columns<'_>) -> Tensor<2> {
        let mut y = Values::of(y);
        let weight = Values::of(self.weight.clone());
        gated_rms_norm(&mut y, gate, &weight, self.group, self.epsilon as f32);
        y.into_tensor()
    }

    /// The path of every other device, and the oracle of the fused one.
    pub(crate) fn forward_composed(&self, y: Tensor<2>, gate: Tensor<2>) -> Tensor<2> {
        let columns = 2;
        let [tokens, width] = y.dims();
        let gated = (y * silu(gate)).reshape([tokens, width / self.group, self.group]);
        let mean_square = gated.clone().powi_scalar(2).mean_dim(columns);
        let normed = gated / mean_square.add_scalar(self.epsilon).sqrt();
        normed.reshape([tokens, width]) * self.weight.clone().unsqueeze()
    }
}
