//! The causal depthwise convolution in front of a mixer's recurrence.

use std::ops::Range;

use burn::tensor::{Tensor, TensorData, activation::silu};
use vector::{Columns, causal_convolution};

use crate::tensor::Values;

/// `silu(bias + Σ_k taps[k]·x[t + 1 − K + k])`, channel by channel; before the first token stand zeros or
/// the last rows of what came before.
#[derive(Clone, Debug)]
pub(crate) struct Convolution {
    /// `[kernel, width]`, the newest token's last.
    pub(crate) taps: Tensor<2>,
    /// `[width]`.
    pub(crate) bias: Option<Tensor<1>>,
}

impl Convolution {
    /// Rows of `past` that the first token sees.
    fn reach(&self) -> usize {
        let [kernel, _] = self.taps.dims();
        kernel - 1
    }

    /// The CPU path: sequences of `x` one by one, the outputs cut into parts by columns.
    ///
    /// `past` holds the `kernel − 1` rows before the sequence and is brought up to its end; where several
    /// sequences go on with it, it stays as it is.
    ///
    /// # Shapes
    /// - `x`: `[tokens, width]`
    /// - returns: `[tokens, part]` for each of `parts`
    pub(crate) fn forward_fused<const N: usize>(
        &self,
        x: Columns<'_>,
        sequences: impl Iterator<Item = Range<usize>>,
        past: Option<&mut Vec<f32>>,
        parts: [Range<usize>; N],
    ) -> [Vec<f32>; N] {
        let width = x.count();
        let taps = Values::of(self.taps.clone());
        let bias = self.bias.clone().map(Values::of);
        let mut outputs = parts.each_ref().map(|part| vec![0.0; x.rows() * part.len()]);
        let before = self.before(past.as_deref().map(Vec::as_slice), width);
        let sequences: Vec<_> = sequences.collect();
        for rows in &sequences {
            let x = x.of_rows(rows.clone());
            for (part, out) in parts.iter().zip(&mut outputs) {
                let of = |values| Columns::all(values, width).part(part.clone());
                let bias = bias.as_ref().map(|bias| &bias[part.clone()]);
                let out = &mut out[rows.start * part.len()..rows.end * part.len()];
                causal_convolution(x.part(part.clone()), of(&before), of(&taps), bias, out);
            }
        }
        if let (Some(past), [_]) = (past, &sequences[..]) {
            let mut rows = before;
            (0..x.rows()).for_each(|row| rows.extend_from_slice(x.row(row)));
            *past = rows.split_off(x.rows() * width);
        }
        outputs
    }

    /// The path of every other device, and the oracle of the fused one: sequences of one length. A `past`
    /// is as in [`Convolution::forward_fused`].
    ///
    /// # Shapes
    /// - `x` and result: `[sequences · tokens, width]`
    pub(crate) fn forward_composed(
        &self,
        x: Tensor<2>,
        sequences: usize,
        past: Option<&mut Vec<f32>>,
    ) -> Tensor<2> {
        let by_token = 1;
        let [rows, width] = x.dims();
        let tokens = rows / sequences;
        let mut x: Tensor<3> = x.reshape([sequences, tokens, width]);
        if self.reach() > 0 {
            let before = self.before(past.as_deref().map(Vec::as_slice), width).repeat(sequences);
            let before = TensorData::new(before, [sequences, self.reach(), width]);
            x = Tensor::cat(vec![Tensor::from_data(before, &x.device()), x], by_token);
        }
        if let Some(past) = past.filter(|_| sequences == 1) {
            let last = x.clone().narrow(by_token, tokens, self.reach());
            *past = Values::of(last).to_vec();
        }
        let taps: Tensor<3> = self.taps.clone().unsqueeze();
        let tap = |k| x.clone().narrow(by_token, k, tokens) * taps.clone().narrow(by_token, k, 1);
        let sum = (1..=self.reach()).fold(tap(0), |sum, k| sum + tap(k)).reshape([rows, width]);
        silu(match &self.bias {
            Some(bias) => sum + bias.clone().unsqueeze(),
            None => sum,
        })
    }

    /// Zeros where nothing came before.
    fn before(&self, past: Option<&[f32]>, width: usize) -> Vec<f32> {
        match past {
            Some(past) if !past.is_empty() => past.to_vec(),
            _ => vec![0.0; self.reach() * width],
        }
    }
}
