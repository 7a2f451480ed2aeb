//! Attention of one query over rows of keys and values.

use crate::{exp::exp, wide::vectorised};

const LANES: usize = 16;

/// `softmax(K·q)ᵀ·V` of one query; `weights` is left with the softmax, one number a row.
///
/// # Shapes
/// - `query`, `out`: `[head_dim]`, the query already scaled
/// - `keys`, `values`: `[rows, head_dim]`
pub fn attend(
    query: &[f32],
    keys: &[f32],
    values: &[f32],
    weights: &mut Vec<f32>,
    out: &mut [f32],
) {
    assert_eq!(keys.len(), values.len(), "a key and a value a row");
    weights.clear();
    weights.resize(keys.len() / query.len(), 0.0);
    attend_rows(query, keys, values, weights, out);
}

vectorised! {
    fn attend_rows<'a>(
        query: &'a [f32],
        keys: &'a [f32],
        values: &'a [f32],
        weights: &'a mut [f32],
        out: &'a mut [f32],
    ) -> () {
        let mut largest = f32::NEG_INFINITY;
        for (weight, key) in weights.iter_mut().zip(keys.chunks_exact(query.len())) {
            *weight = dot(query, key);
            largest = largest.max(*weight);
        }
        let mut sum = 0.0_f64;
        for weight in weights.iter_mut() {
            *weight = exp(*weight - largest);
            sum += f64::from(*weight);
        }
        let scale = (1.0 / sum) as f32;
        out.fill(0.0);
        for (weight, value) in weights.iter_mut().zip(values.chunks_exact(out.len())) {
            *weight *= scale;
            for (out, value) in out.iter_mut().zip(value) {
                *out = weight.mul_add(*value, *out);
            }
        }
    }
}

/// The inner product in lanes of registers.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (a_blocks, b_blocks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_blocks.remainder().iter().zip(b_blocks.remainder());
    let rest = rest.fold(0.0, |sum, (a, b)| a.mul_add(*b, sum));
    for (a, b) in a_blocks.zip(b_blocks) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane = a.mul_add(*b, *lane);
        }
    }
    rest + lanes.iter().sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::attend;

    /// Against the formula in `f64`, with head sizes that lanes do and do not divide.
    #[test]
    fn equals_the_formula() {
        for (head_dim, rows) in [(4, 1), (16, 5), (64, 33), (20, 100)] {
            let numbers = |salt: usize, n: usize| -> Vec<f32> {
                (0..n).map(|i| ((i * 37 + salt) % 41) as f32 / 20.0 - 1.0).collect()
            };
            let query = numbers(3, head_dim);
            let (keys, values) = (numbers(5, rows * head_dim), numbers(11, rows * head_dim));
            let logits: Vec<f64> = keys
                .chunks_exact(head_dim)
                .map(|key| key.iter().zip(&query).map(|(k, q)| f64::from(*k) * f64::from(*q)).sum())
                .collect();
            let sum: f64 = logits.iter().map(|l| l.exp()).sum();
            let truth: Vec<f64> = (0..head_dim)
                .map(|d| {
                    let of = |s: usize| logits[s].exp() / sum * f64::from(values[s * head_dim + d]);
                    (0..rows).map(of).sum()
                })
                .collect();
            let (mut weights, mut out) = (Vec::new(), vec![9.0; head_dim]);
            attend(&query, &keys, &values, &mut weights, &mut out);
            let off = out.iter().zip(&truth).map(|(a, b)| (f64::from(*a) - b).abs());
            // Sums of a hundred f32 products of numbers up to 1.
            assert!(crate::largest(off) < 1e-5);
            let total: f64 = weights.iter().map(|w| f64::from(*w)).sum();
            assert!((total - 1.0).abs() < 1e-5, "{total}");
        }
    }
}
