//! The short causal convolution in front of a state space.

use rayon::prelude::*;

use crate::{Columns, ROWS_PER_TASK, exp::exp, wide::vectorised};

/// A depthwise convolution over the tokens of one sequence and SiLU:
/// `out[t, c] = silu(bias[c] + Σ_k taps[k, c] · x[t + 1 − K + k, c])`; rows before the first token are the
/// last ones of `past`.
///
/// # Shapes
/// - `x` and `out`: `[tokens, width]`
/// - `taps`: `[K, width]`, the newest token's last
/// - `bias`: `[width]`
/// - `past`: `[K − 1, width]`, oldest first
///
/// # Panics
/// Where the shapes disagree.
pub fn causal_convolution(
    x: Columns<'_>,
    past: Columns<'_>,
    taps: Columns<'_>,
    bias: Option<&[f32]>,
    out: &mut [f32],
) {
    let width = taps.count();
    assert!(x.count() == width && past.count() == width, "one tap for each channel");
    assert_eq!(past.rows() + 1, taps.rows(), "the past reaches back one tap less");
    assert_eq!(out.len(), x.rows() * width, "one row a token");
    out.par_chunks_mut(width * ROWS_PER_TASK).enumerate().for_each(|(task, out)| {
        convolve(out, task * ROWS_PER_TASK, x, past, taps, bias);
    });
}

vectorised! {
    fn convolve<'a>(
        out: &'a mut [f32],
        first: usize,
        x: Columns<'a>,
        past: Columns<'a>,
        taps: Columns<'a>,
        bias: Option<&'a [f32]>,
    ) -> () {
        for (row, out) in out.chunks_exact_mut(taps.count()).enumerate() {
            match bias {
                Some(bias) => out.copy_from_slice(bias),
                None => out.fill(0.0),
            }
            for tap in 0..taps.rows() {
                let from = first + row + tap;
                let from = match from.checked_sub(past.rows()) {
                    Some(token) => x.row(token),
                    None => past.row(from),
                };
                for ((out, weight), x) in out.iter_mut().zip(taps.row(tap)).zip(from) {
                    *out = weight.mul_add(*x, *out);
                }
            }
            for out in out {
                *out /= 1.0 + exp(-*out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against `f64`, with any number of taps, with and without bias, in the middle of wider rows.
        /// Sums of at most six products of numbers below 2: 2e-6 absolute.
        #[test]
        fn equals_naive(tokens in 1_usize..40, width in 1_usize..40, kernel in 1_usize..6) {
            let value = |i: usize| ((i * 37 % 41) as f32 - 20.0) / 11.0;
            let values = |n: usize, salt: usize| (0..n).map(|i| value(i + salt)).collect::<Vec<_>>();
            let (wide, columns) = (width + 5, 3..3 + width);
            let x = values(tokens * wide, 1);
            let past = values((kernel - 1) * width, 2);
            let (taps, bias) = (values(kernel * width, 3), values(width, 4));
            let columns_of_x = Columns::new(&x, wide, columns.clone());
            for bias in [None, Some(&bias[..])] {
                let mut out = vec![0.0; tokens * width];
                let (past, taps) = (Columns::all(&past, width), Columns::all(&taps, width));
                causal_convolution(columns_of_x, past, taps, bias, &mut out);
                for (i, out) in out.iter().enumerate() {
                    let (t, c) = (i / width, i % width);
                    let mut sum = bias.map_or(0.0, |bias| f64::from(bias[c]));
                    for k in 0..kernel {
                        let from = match (t + k).checked_sub(kernel - 1) {
                            Some(token) => columns_of_x.row(token)[c],
                            None => past.row(t + k)[c],
                        };
                        sum += f64::from(taps.row(k)[c]) * f64::from(from);
                    }
                    let expected = sum / (1.0 + (-sum).exp());
                    prop_assert!((f64::from(*out) - expected).abs() < 2e-6);
                }
            }
        }
    }
}
