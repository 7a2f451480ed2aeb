//! What can be known of the state channels of a mixer: what each holds, and the weights at its ends.

use std::ops::Range;

use vector::{Writes, energies, fade_unwritten};

use super::Mixer;
use crate::tensor::Values;

impl Mixer {
    /// `E_t[g, n] = Σ_k Σ_p H_t[h_k, p, n]²` over the heads `h_k` of group `g`: what every channel of the
    /// state holds after each token of one sequence.
    ///
    /// `state` is the state before them (empty for zeros), to be brought up to the last of them. A channel
    /// that a cut left behind as filling holds nothing.
    ///
    /// # Shapes
    /// - `state`: `[heads, head_dim, channels]`
    /// - returns: `[tokens, groups · channels]`
    ///
    /// # Panics
    /// Where `writes` is not of this mixer's sizes.
    pub fn energies(&self, writes: Writes<'_>, state: &mut Vec<f32>) -> Vec<f32> {
        state.resize(self.shape.inner() * self.shape.channels, 0.0);
        energies(state, writes, &Values::of(self.rates.clone()), self.shape.groups)
    }

    /// Makes of the state before some tokens the one after them, where they wrote only some channels and
    /// the others fade: from the state where they wrote all, which [`Mixer::energies`] leaves.
    ///
    /// # Shapes
    /// - `state` (empty for zeros) and `all_written`: `[heads, head_dim, channels]`
    /// - `written`: `[groups · channels]`
    /// - `dt`: `[tokens, heads]`
    ///
    /// # Panics
    /// Where the states are of different sizes.
    pub fn fade_unwritten(
        &self,
        state: &mut Vec<f32>,
        all_written: &[f32],
        written: &[bool],
        dt: &[f32],
    ) {
        state.resize(all_written.len(), 0.0);
        let rates = Values::of(self.rates.clone());
        fade_unwritten(state, all_written, written, dt, &rates, self.shape.groups);
    }

    /// `A`, how fast every head forgets: `[heads]`, negative.
    pub fn decay_rates(&self) -> Vec<f32> {
        Values::of(self.rates.clone()).to_vec()
    }

    /// `‖W_B[n]‖₂` and `‖W_C[n]‖₂` of every channel of every group: the lengths of the weights of the input
    /// projection that its `B` and its `C` come from, summed in `f64`.
    ///
    /// # Shapes
    /// - returns: twice `[groups · channels]`
    pub fn mixing_norms(&self) -> [Vec<f64>; 2] {
        let (shape, weight) = (self.shape, Values::of(self.input.weight.clone()));
        let [b, c] = shape.mixing_columns();
        let norms = |columns: Range<usize>| {
            let mut sums = vec![0.0; columns.len()];
            for row in weight.chunks_exact(shape.projected()) {
                for (sum, weight) in sums.iter_mut().zip(&row[columns.clone()]) {
                    *sum += f64::from(*weight).powi(2);
                }
            }
            sums.into_iter().map(f64::sqrt).collect()
        };
        [norms(b), norms(c)]
    }
}
