//! Feed-forward blocks: the scratch-work of a model.

use burn::tensor::{Int, Tensor, TensorData, activation};

use super::Linear;
use crate::{
    product::{by_input, by_output},
    tensor::{Values, is_plain_cpu},
};

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
    /// Its maps, those that read the same input together.
    pub(crate) fn linears(&self) -> Vec<Vec<&Linear>> {
        vec![self.gate.iter().chain([&self.up]).collect(), vec![&self.down]]
    }

    /// The same to be changed.
    pub(crate) fn linears_mut(&mut self) -> Vec<Vec<&mut Linear>> {
        vec![self.gate.iter_mut().chain([&mut self.up]).collect(), vec![&mut self.down]]
    }

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
                let [gate, up] = Linear::forward_all([gate, &self.up], x);
                let mut h = Values::of(gate);
                vector::gate_mul(self.activation, &mut h, &Values::of(up));
                h.into_tensor()
            }
            None if is_plain_cpu(&device) => {
                let mut h = Values::of(self.up.forward(x));
                vector::activate(self.activation, &mut h);
                h.into_tensor()
            }
            Some(gate) => self.activate(gate.forward(x.clone())) * self.up.forward(x),
            None => self.activate(self.up.forward(x)),
        }
    }

    /// The path of every other device, and the oracle of the fused one.
    fn activate(&self, x: Tensor<2>) -> Tensor<2> {
        match self.activation {
            Activation::Relu => activation::relu(x),
            Activation::Silu => activation::silu(x),
            Activation::Gelu => activation::gelu(x),
            Activation::GeluTanh => {
                let root = (2.0 / std::f64::consts::PI).sqrt();
                let inner = x.clone() * x.clone() * x.clone() * 0.044_715 + x.clone();
                (inner.mul_scalar(root).tanh() + 1.0) * x * 0.5
            }
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
        let indices: Tensor<1, Int> =
            Tensor::from_data(TensorData::new(indices, [kept.len()]), &device);
        Self {
            gate: self.gate.as_ref().map(|gate| gate.with_outputs(&indices)),
            up: self.up.with_outputs(&indices),
            down: self.down.with_inputs(&indices),
            activation: self.activation,
        }
    }

    /// The same block with more neurons than it has: the new ones have zero weights and biases, so they add
    /// nothing.
    ///
    /// # Panics
    /// Where it has more than so many neurons.
    pub fn padded(&self, neurons: usize) -> Self {
        let more = neurons.checked_sub(self.neurons()).expect("no fewer neurons than it has");
        if more == 0 {
            return self.clone();
        }
        Self {
            gate: self.gate.as_ref().map(|gate| gate.with_more_outputs(more)),
            up: self.up.with_more_outputs(more),
            down: self.down.with_more_inputs(more),
            activation: self.activation,
        }
    }

    /// The same block laid out for what a zero of ReLU makes needless: every neuron's weights lie together,
    /// those that leave it and, behind a gate, those that enter it. A model that was loaded has it so; what
    /// a cut made may not.
    pub fn laid_out(&self) -> Self {
        let mut block = self.clone();
        if block.activation == Activation::Relu {
            block.down.weight = by_input(&block.down.weight);
            if block.gate.is_some() {
                block.up.weight = by_output(&block.up.weight);
            }
        }
        block
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
    use crate::{
        nn::LowRank,
        tensor::{into_values, matrix},
    };
    use burn::tensor::{Device, Tolerance};

    fn values(n: usize, salt: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 29 + salt * 7) % 23) as f32 / 11.0 - 1.0).collect()
    }

    fn linear(d_in: usize, d_out: usize, salt: usize, device: &Device) -> Linear {
        Linear::new("map", matrix(values(d_in * d_out, salt), [d_in, d_out], device), None)
    }

    /// A block with an adapter on its gate, as Zamba2 shares one among layers.
    fn block(device: &Device) -> Ffn {
        let gate = Linear {
            adapter: Some(LowRank {
                down: matrix(values(6 * 2, 8), [6, 2], device),
                up: matrix(values(2 * 10, 9), [2, 10], device),
            }),
            ..linear(6, 10, 1, device)
        };
        Ffn {
            gate: Some(gate),
            up: linear(6, 10, 2, device),
            down: linear(10, 6, 3, device),
            activation: Activation::Silu,
        }
    }

    #[test]
    fn fused_hidden_equals_composed() {
        let device = Device::flex();
        let gated = block(&device);
        let x = matrix(values(4 * 6, 5), [4, 6], &device);
        for activation in
            [Activation::Relu, Activation::Silu, Activation::Gelu, Activation::GeluTanh]
        {
            let gated = Ffn { activation, ..gated.clone() };
            let gate = gated.gate.as_ref().map(|gate| gate.forward(x.clone())).expect("gated");
            let up = gated.up.forward(x.clone());
            let composed = (gated.activate(gate) * up.clone()).into_data();
            let tolerance = Tolerance::absolute(2e-6);
            gated.hidden(x.clone()).into_data().assert_approx_eq::<f32>(&composed, tolerance);
            let plain = Ffn { gate: None, ..gated };
            let composed = plain.activate(up).into_data();
            plain.hidden(x.clone()).into_data().assert_approx_eq::<f32>(&composed, tolerance);
        }
    }

    #[test]
    fn padding_changes_nothing() {
        let device = Device::flex();
        let x = || matrix(values(4 * 6, 5), [4, 6], &device);
        let bias = |n: usize| crate::tensor::vector_of(values(n, 4), &device);
        let mut biased = Ffn { gate: None, ..block(&device) };
        (biased.up.bias, biased.down.bias) = (Some(bias(10)), Some(bias(6)));
        for ffn in [block(&device), biased] {
            let padded = ffn.padded(13);
            assert_eq!(padded.neurons(), 13);
            let before = ffn.project(ffn.hidden(x())).into_data();
            let after = padded.project(padded.hidden(x())).into_data();
            after.assert_approx_eq::<f32>(&before, Tolerance::absolute(1e-6));
        }
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
