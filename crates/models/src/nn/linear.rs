//! An affine map.

use burn::tensor::Tensor;

/// `y = x·W + b`.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[d_in, d_out]`: the transpose of what PyTorch stores.
    pub weight: Tensor<2>,
    /// `[d_out]`.
    pub bias: Option<Tensor<1>>,
}

impl Linear {
    /// # Shapes
    /// - `x`: `[tokens, d_in]`
    /// - returns: `[tokens, d_out]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let y = x.matmul(self.weight.clone());
        match &self.bias {
            Some(bias) => y + bias.clone().unsqueeze(),
            None => y,
        }
    }

    /// `(d_in, d_out)`.
    pub fn widths(&self) -> (usize, usize) {
        let [d_in, d_out] = self.weight.dims();
        (d_in, d_out)
    }
}
