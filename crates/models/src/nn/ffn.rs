//! Feed-forward blocks: the scratch-work of a model.

use burn::tensor::{Int, Tensor, TensorData, activation};

use super::Linear;
use crate::tensor::{Values, is_plain_cpu};

pub use vector::Activation;

/// A feed-forward block of `F` neurons, gated (`h = act(x·W_gate) * (x·W_up)`) or plain
/// (`h = act(x·W_up)`); its output is `h·W_down`.
#[derive(Clone, Debug)]
pub struct Ffn {
    /// `[d_model, F]` in a gated block.
    pub gate: Option<Linear>,
    /// `[d_model, F]`.
    pub up: Linear,
    /// `[F, d_model]`: row `i` holds the weights that leave neuron `i`.
    pub down: Linear,
    /// The non-linearity.
    pub activation: Activation,
}

impl Ffn {
    /// Number of neurons, `F`.
    pub fn neurons(&self) -> usize {
        self.down.widths().0
    }

    /// The hidden vector `h` that enters the down projection.
    ///
    /// # Shapes
    /// - `x`: `[tokens, d_model]`
    /// - returns: `[tokens, F]`
    pub fn hidden(&self, x: Tensor<2>) -> Tensor<2> {
        let device = x.device();
        match &self.gate {
            Some(gate) if is_plain_cpu(&device) => {
                let mut h = Values::of(gate.forward(x.clone()));
                vector::gate_mul(self.activation, &mut h, &Values::of(self.up.forward(x)));
                h.into_tensor()
            }
            Some(gate) => self.activate(gate.forward(x.clone())) * self.up.forward(x),
            None => self.activate(self.up.forward(x)),
        }
    }

    fn activate(&self, x: Tensor<2>) -> Tensor<2> {
        match self.activation {
            Activation::Relu => activation::relu(x),
            Activation::Silu => activation::silu(x),
        }
    }

    /// The block's output for a hidden vector.
    ///
    /// # Shapes
    /// - `h`: `[tokens, F]`
    /// - returns: `[tokens, d_model]`
    pub fn project(&self, h: Tensor<2>) -> Tensor<2> {
        self.down.forward(h)
    }

    /// The same block with only the neurons of `kept` (ascending): its weights are really smaller.
    pub fn cut(&self, kept: &[usize]) -> Self {
        let device = self.down.weight.device();
        let indices: Vec<i64> = kept.iter().map(|i| *i as i64).collect();
        let indices = || -> Tensor<1, Int> {
            Tensor::from_data(TensorData::new(indices.clone(), [kept.len()]), &device)
        };
        let (rows, columns) = (0, 1);
        let columns_of = |linear: &Linear| Linear {
            weight: linear.weight.clone().select(columns, indices()),
            bias: linear.bias.clone().map(|bias| bias.select(rows, indices())),
        };
        Self {
            gate: self.gate.as_ref().map(columns_of),
            up: columns_of(&self.up),
            down: Linear {
                weight: self.down.weight.clone().select(rows, indices()),
                bias: self.down.bias.clone(),
            },
            activation: self.activation,
        }
    }

    /// `‖w_i‖₂` for every neuron: the length of the weights that leave it, summed in `f64`.
    pub fn out_norms_l2(&self) -> Vec<f32> {
        self.fold_out_rows(|row| row.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>().sqrt())
    }

    /// `‖w_i‖₁` for every neuron, summed in `f64`.
    pub fn out_norms_l1(&self) -> Vec<f32> {
        self.fold_out_rows(|row| row.iter().map(|w| f64::from(w.abs())).sum::<f64>())
    }

    fn fold_out_rows(&self, fold: impl Fn(&[f32]) -> f64) -> Vec<f32> {
        let d_model = self.down.widths().1;
        let weight = Values::of(self.down.weight.clone());
        weight.chunks_exact(d_model).map(|row| fold(row) as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{into_values, matrix};
    use burn::tensor::{Device, Tolerance};

    fn values(n: usize, salt: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 29 + salt * 7) % 23) as f32 / 11.0 - 1.0).collect()
    }

    fn block(device: &Device) -> Ffn {
        let linear = |d_in, d_out, salt| Linear {
            weight: matrix(values(d_in * d_out, salt), [d_in, d_out], device),
            bias: None,
        };
        Ffn {
            gate: Some(linear(6, 10, 1)),
            up: linear(6, 10, 2),
            down: linear(10, 6, 3),
            activation: Activation::Silu,
        }
    }

    #[test]
    fn fused_hidden_equals_composed() {
        let device = Device::flex();
        let ffn = block(&device);
        let x = matrix(values(4 * 6, 5), [4, 6], &device);
        let gate = ffn.gate.as_ref().map(|gate| gate.forward(x.clone()));
        let composed = ffn.activate(gate.expect("gated")) * ffn.up.forward(x.clone());
        ffn.hidden(x)
            .into_data()
            .assert_approx_eq::<f32>(&composed.into_data(), Tolerance::absolute(1e-6));
    }

    /// Cutting neurons equals zeroing them in `h`.
    #[test]
    fn cut_equals_masked() {
        let device = Device::flex();
        let ffn = block(&device);
        let x = matrix(values(4 * 6, 5), [4, 6], &device);
        let kept = [0, 3, 4, 9];
        let mut h = into_values(ffn.hidden(x.clone()));
        for (i, h) in h.iter_mut().enumerate() {
            if !kept.contains(&(i % 10)) {
                *h = 0.0;
            }
        }
        let masked = ffn.project(matrix(h, [4, 10], &device)).into_data();
        let cut = ffn.cut(&kept);
        assert_eq!(cut.neurons(), 4);
        let cut = cut.project(cut.hidden(x)).into_data();
        cut.assert_approx_eq::<f32>(&masked, Tolerance::absolute(1e-6));
    }
}
