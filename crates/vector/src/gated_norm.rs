//! The norm of a gated mixer: gate, then root mean square by groups of columns.

use rayon::prelude::*;

use crate::{Columns, ROWS_PER_TASK, exp::exp, wide::vectorised};

/// `g = x · silu(gate)`, then `g / sqrt(mean(g²) + epsilon) · weight` with the mean over each group of
/// neighbouring columns, in place (the norm of Mamba-2, Dao & Gu 2024, arXiv:2405.21060, section 7.1).
///
/// # Shapes
/// - `x`, `gate`: `[tokens, width]`
/// - `weight`: `[width]`
/// - `group`: columns of a group; divides `width`
///
/// # Panics
/// Where the shapes disagree.
pub fn gated_rms_norm(
    x: &mut [f32],
    gate: Columns<'_>,
    weight: &[f32],
    group: usize,
    epsilon: f32,
) {
    let width = weight.len();
    assert!(gate.count() == width && width.is_multiple_of(group), "whole groups of gated columns");
    assert_eq!(x.len(), gate.rows() * width, "one gate for each entry");
    x.par_chunks_mut(width * ROWS_PER_TASK).enumerate().for_each(|(task, x)| {
        gate_and_normalise(x, task * ROWS_PER_TASK, gate, weight, group, epsilon);
    });
}

vectorised! {
    fn gate_and_normalise<'a>(
        x: &'a mut [f32],
        first: usize,
        gate: Columns<'a>,
        weight: &'a [f32],
        group: usize,
        epsilon: f32,
    ) -> () {
        for (row, x) in x.chunks_exact_mut(weight.len()).enumerate() {
            let gate = gate.row(first + row).chunks_exact(group);
            let groups = x.chunks_exact_mut(group).zip(gate).zip(weight.chunks_exact(group));
            for ((x, gate), weight) in groups {
                let mean = gated_squares(x, gate) / group as f32;
                let scale = 1.0 / (mean + epsilon).sqrt();
                for (x, weight) in x.iter_mut().zip(weight) {
                    *x *= scale * weight;
                }
            }
        }
    }
}

/// Gates in place; Σg² in 32 interleaved partial sums.
#[inline(always)]
fn gated_squares(x: &mut [f32], gate: &[f32]) -> f32 {
    const LANES: usize = 32;
    let mut lanes = [0.0_f32; LANES];
    let (blocks, rest) = x.as_chunks_mut::<LANES>();
    let (gates, gates_of_rest) = gate.as_chunks::<LANES>();
    for (x, gate) in blocks.iter_mut().zip(gates) {
        // Stored as a whole, so that the compiler need not fear that the slices overlap.
        let mut gated = *x;
        for ((gated, gate), lane) in gated.iter_mut().zip(gate).zip(&mut lanes) {
            *gated *= gate / (1.0 + exp(-gate));
            *lane = gated.mul_add(*gated, *lane);
        }
        *x = gated;
    }
    let mut sum = 0.0;
    for (x, gate) in rest.iter_mut().zip(gates_of_rest) {
        *x *= gate / (1.0 + exp(-gate));
        sum += *x * *x;
    }
    sum + lanes.iter().sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against `f64`: 2e-6 relative to entries of at most 10.
        #[test]
        fn equals_naive(tokens in 1_usize..40, group in 1_usize..80, groups in 1_usize..4) {
            let width = group * groups;
            let value = |i: usize| ((i * 53 % 61) as f32 - 30.0) / 8.0;
            let x: Vec<f32> = (0..tokens * width).map(value).collect();
            let gates: Vec<f32> = (0..tokens * (width + 3)).map(|i| value(i + 7)).collect();
            let weight: Vec<f32> = (0..width).map(|i| value(i + 3) / 2.0).collect();
            let gate = Columns::new(&gates, width + 3, 2..2 + width);
            let mut out = x.clone();
            gated_rms_norm(&mut out, gate, &weight, group, 1e-5);
            for (i, out) in out.iter().enumerate() {
                let (t, column) = (i / width, i % width);
                let gated = |c: usize| {
                    let z = f64::from(gate.row(t)[c]);
                    f64::from(x[t * width + c]) * z / (1.0 + (-z).exp())
                };
                let first = column / group * group;
                let mean = (first..first + group).map(|c| gated(c).powi(2)).sum::<f64>();
                let scale = 1.0 / (mean / group as f64 + 1e-5).sqrt();
                let expected = gated(column) * scale * f64::from(weight[column]);
                prop_assert!((f64::from(*out) - expected).abs() < 2e-6 * (1.0 + expected.abs()));
            }
        }
    }
}
