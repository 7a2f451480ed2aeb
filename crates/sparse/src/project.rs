//! The down projection of kept neurons only.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::{ARCH, KeptGroups};

/// Rows a task takes at a time.
const ROWS_PER_TASK: usize = 64;
/// Registers that hold sums of one row: their columns of the weight stay in the second-level cache
/// while the rows of a task pass by.
const REGISTERS: usize = 8;

/// `y[t, :] = Σ_{i kept at t} h[t, i] · w[i, :]`, reading only the kept rows of `w`.
///
/// # Shapes
/// - `h`: `[tokens, F]`; entries that are not kept are not read
/// - `w`: `[F, d_model]`
/// - returns: `[tokens, d_model]`
///
/// # Complexity
/// `tokens · k · d_model` multiplications, where the dense product has `tokens · F · d_model`.
pub fn project_kept(h: &[f32], kept: &KeptGroups, w: &[f32], d_model: usize) -> Vec<f32> {
    let neurons = w.len() / d_model;
    assert_eq!(h.len(), kept.n_rows() * neurons, "one row of h for every row of a group");
    let mut out = vec![0.0; kept.n_rows() * d_model];
    out.par_chunks_mut(ROWS_PER_TASK * d_model).enumerate().for_each(|(task, out)| {
        let first = task * ROWS_PER_TASK;
        ARCH.dispatch(Rows { h, kept, w, neurons, d_model, first, out });
    });
    out
}

struct Rows<'a> {
    h: &'a [f32],
    kept: &'a KeptGroups,
    w: &'a [f32],
    neurons: usize,
    d_model: usize,
    first: usize,
    out: &'a mut [f32],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let lanes = S::F32_LANES;
        let mut column = 0;
        while column + REGISTERS * lanes <= self.d_model {
            self.columns::<S, REGISTERS>(simd, column);
            column += REGISTERS * lanes;
        }
        while column + lanes <= self.d_model {
            self.columns::<S, 1>(simd, column);
            column += lanes;
        }
        self.last_columns(column);
    }
}

impl Rows<'_> {
    /// Columns `column..column + N·lanes` of every row of the task, sums held in `N` registers.
    #[inline(always)]
    fn columns<S: Simd, const N: usize>(&mut self, simd: S, column: usize) {
        let width = N * S::F32_LANES;
        for (row, out) in self.out.chunks_exact_mut(self.d_model).enumerate() {
            let row = self.first + row;
            let h = &self.h[row * self.neurons..(row + 1) * self.neurons];
            let mut sums = [simd.splat_f32s(0.0); N];
            for i in self.kept.of_row(row) {
                let i = *i as usize;
                let (w, _) = S::as_simd_f32s(&self.w[i * self.d_model + column..][..width]);
                let Some(w) = w.first_chunk::<N>() else { continue };
                let scale = simd.splat_f32s(h[i]);
                for (sum, w) in sums.iter_mut().zip(w) {
                    *sum = simd.mul_add_f32s(scale, *w, *sum);
                }
            }
            let (out, _) = S::as_mut_simd_f32s(&mut out[column..column + width]);
            out.copy_from_slice(&sums);
        }
    }

    /// Columns that do not fill a register.
    #[inline(always)]
    fn last_columns(&mut self, from: usize) {
        for (row, out) in self.out.chunks_exact_mut(self.d_model).enumerate() {
            let row = self.first + row;
            let h = &self.h[row * self.neurons..(row + 1) * self.neurons];
            for i in self.kept.of_row(row) {
                let i = *i as usize;
                let w = &self.w[i * self.d_model..(i + 1) * self.d_model];
                for (out, w) in out[from..].iter_mut().zip(&w[from..]) {
                    *out = h[i].mul_add(*w, *out);
                }
            }
        }
    }
}

/// The same, one multiplication after the other: the oracle.
pub fn project_kept_naive(h: &[f32], kept: &KeptGroups, w: &[f32], d_model: usize) -> Vec<f32> {
    let neurons = w.len() / d_model;
    let mut out = vec![0.0; kept.n_rows() * d_model];
    for (rows, kept) in kept.iter() {
        for row in rows {
            for i in kept {
                let i = *i as usize;
                for column in 0..d_model {
                    out[row * d_model + column] += h[row * neurons + i] * w[i * d_model + column];
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Every width, with and without a remainder; the two differ by fused rounding alone.
        #[test]
        fn equals_naive(
            d_model in 1_usize..300,
            neurons in 1_usize..20,
            rows in prop::collection::vec(1_usize..70, 1..4),
            seed in 0_u32..1000,
        ) {
            let value = |i: usize| ((i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) >> 16) as f32
                / 65_536.0 - 0.5;
            let k = neurons.div_ceil(2);
            let mut kept = KeptGroups::new(k);
            for (group, rows) in rows.iter().enumerate() {
                let mut set: Vec<u32> =
                    (0..k).map(|i| ((i * 2 + group) % neurons) as u32).collect();
                set.sort_unstable();
                set.dedup();
                prop_assume!(set.len() == k);
                kept.push(*rows, &set);
            }
            let h: Vec<f32> = (0..kept.n_rows() * neurons).map(value).collect();
            let w: Vec<f32> = (0..neurons * d_model).map(|i| value(i + 7919)).collect();
            let fast = project_kept(&h, &kept, &w, d_model);
            let naive = project_kept_naive(&h, &kept, &w, d_model);
            for (fast, naive) in fast.iter().zip(&naive) {
                prop_assert!((fast - naive).abs() < 1e-5);
            }
        }
    }
}
