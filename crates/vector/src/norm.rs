//! Root-mean-square normalisation by rows.

use rayon::prelude::*;

use crate::{ROWS_PER_TASK, wide::vectorised};

/// `y = x / sqrt(mean(x²) + epsilon) · weight` for every row of `x` (Zhang & Sennrich 2019,
/// arXiv:1910.07467).
///
/// # Shapes
/// - `x`: `[tokens, width]`
/// - `weight`: `[width]`
/// - returns: `[tokens, width]`
pub fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32) -> Vec<f32> {
    let width = weight.len();
    let mut out = vec![0.0; x.len()];
    let chunk = width * ROWS_PER_TASK;
    out.par_chunks_mut(chunk)
        .zip(x.par_chunks(chunk))
        .for_each(|(out, x)| rms_norm_rows(out, x, weight, epsilon));
    out
}

vectorised! {
    fn rms_norm_rows<'a>(
        out: &'a mut [f32],
        x: &'a [f32],
        weight: &'a [f32],
        epsilon: f32,
    ) -> () {
        let width = weight.len();
        for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
            let scale = 1.0 / (sum_of_squares(x) / width as f32 + epsilon).sqrt();
            for ((o, x), w) in out.iter_mut().zip(x).zip(weight) {
                *o = x * scale * w;
            }
        }
    }
}

/// Σx² in 32 interleaved partial sums: the order is fixed, and it vectorises.
#[inline(always)]
fn sum_of_squares(x: &[f32]) -> f32 {
    const LANES: usize = 32;
    let mut lanes = [0.0_f32; LANES];
    let blocks = x.chunks_exact(LANES);
    let rest: f32 = blocks.remainder().iter().map(|v| v * v).sum();
    for block in blocks {
        for (lane, v) in lanes.iter_mut().zip(block) {
            *lane = v.mul_add(*v, *lane);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_naive() {
        let width = 77;
        let x: Vec<f32> = (0..width * 40).map(|i| ((i * 37 % 101) as f32 - 50.0) / 9.0).collect();
        let weight: Vec<f32> = (0..width).map(|i| 0.5 + i as f32 / 70.0).collect();
        let fast = rms_norm(&x, &weight, 1e-5);
        for (row, out) in x.chunks(width).zip(fast.chunks(width)) {
            let mean: f64 = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / width as f64;
            for ((v, w), o) in row.iter().zip(&weight).zip(out) {
                let naive = f64::from(*v) / (mean + 1e-5).sqrt() * f64::from(*w);
                assert!((naive - f64::from(*o)).abs() < 1e-6 * (1.0 + naive.abs()));
            }
        }
    }
}
