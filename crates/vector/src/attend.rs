//! Attention of one query a head over all that was seen: a step of decoding.

use rayon::prelude::*;

use crate::{softmax::softmax, wide::vectorised};

/// Products below which a second thread costs more than it saves.
const ALONE: usize = 1 << 16;

/// What one key head remembers, a row a position.
#[derive(Clone, Copy, Debug)]
pub struct Remembered<'a> {
    /// `[positions, head_dim]`.
    pub keys: &'a [f32],
    /// `[positions, head_dim]`.
    pub values: &'a [f32],
}

/// `softmax(q·Kᵀ)·V` for one query of every head, all positions visible; queries are already scaled, and
/// neighbours share a key head.
///
/// # Shapes
/// - `queries`: `[heads, head_dim]`
/// - `past`: one entry a key head, at least one position each
/// - returns: `[heads, head_dim]`
pub fn attend(queries: &[f32], past: &[Remembered<'_>], head_dim: usize) -> Vec<f32> {
    let mut out = vec![0.0; queries.len()];
    let group = queries.len() / past.len();
    let heads = |(past, (queries, out)): (&Remembered<'_>, (&[f32], &mut [f32]))| {
        let mut scores = vec![0.0; past.keys.len() / head_dim];
        for (query, out) in queries.chunks_exact(head_dim).zip(out.chunks_exact_mut(head_dim)) {
            attend_head(query, *past, &mut scores, out);
        }
    };
    let positions = past.first().map_or(0, |past| past.keys.len() / head_dim);
    if 2 * positions * queries.len() <= ALONE {
        past.iter()
            .zip(queries.chunks_exact(group).zip(out.chunks_exact_mut(group)))
            .for_each(heads);
    } else {
        let rows = queries.par_chunks_exact(group).zip(out.par_chunks_exact_mut(group));
        past.par_iter().zip(rows).for_each(heads);
    }
    out
}

vectorised! {
    fn attend_head<'a>(
        query: &'a [f32],
        past: Remembered<'a>,
        scores: &'a mut [f32],
        out: &'a mut [f32],
    ) -> () {
        let head_dim = query.len();
        for (score, key) in scores.iter_mut().zip(past.keys.chunks_exact(head_dim)) {
            *score = dot(query, key);
        }
        softmax(scores);
        mix(scores, past.values, out);
    }
}

/// `Σ a·b` in 16 interleaved partial sums: the order is fixed, and it vectorises.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0.0_f32; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for ((a, b), lane) in a.iter().zip(b).zip(&mut lanes) {
            *lane = a.mul_add(*b, *lane);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    rest + lanes.iter().sum::<f32>()
}

/// `out += Σ weight·row`, four rows at a time, one after the other.
#[inline(always)]
fn mix(weights: &[f32], rows: &[f32], out: &mut [f32]) {
    let width = out.len();
    let (fours, rest) = weights.as_chunks::<4>();
    let (rows, last) = rows.split_at(fours.len() * 4 * width);
    for ([a, b, c, d], rows) in fours.iter().zip(rows.chunks_exact(4 * width)) {
        let (first, second) = rows.split_at(2 * width);
        let ((w, x), (y, z)) = (first.split_at(width), second.split_at(width));
        for ((((out, w), x), y), z) in out.iter_mut().zip(w).zip(x).zip(y).zip(z) {
            *out = d.mul_add(*z, c.mul_add(*y, b.mul_add(*x, a.mul_add(*w, *out))));
        }
    }
    for (weight, row) in rest.iter().zip(last.chunks_exact(width)) {
        for (out, v) in out.iter_mut().zip(row) {
            *out = weight.mul_add(*v, *out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against f64, grouped heads, few and many positions. Weights are at most 1 and their sum is 1, so
    /// 1e-6 of values below 1 is a dozen units in the last place.
    #[test]
    fn equals_naive() {
        let value = |i: usize, salt: usize| ((i * 37 + salt) % 101) as f32 / 50.0 - 1.0;
        for (heads, key_heads, head_dim, positions) in
            [(4, 2, 6, 1), (3, 3, 16, 5), (6, 2, 21, 40), (8, 4, 64, 700)]
        {
            let rows = |n: usize, salt| (0..n).map(|i| value(i, salt)).collect::<Vec<f32>>();
            let queries = rows(heads * head_dim, 1);
            let keys: Vec<_> = (0..key_heads).map(|g| rows(positions * head_dim, 2 + g)).collect();
            let values: Vec<_> =
                (0..key_heads).map(|g| rows(positions * head_dim, 9 + g)).collect();
            let past: Vec<_> = keys
                .iter()
                .zip(&values)
                .map(|(keys, values)| Remembered { keys, values })
                .collect();
            let found = attend(&queries, &past, head_dim);
            for (head, found) in found.chunks_exact(head_dim).enumerate() {
                let query = &queries[head * head_dim..][..head_dim];
                let past = past[head / (heads / key_heads)];
                let sizes: Vec<f64> = past
                    .keys
                    .chunks_exact(head_dim)
                    .map(|key| {
                        key.iter().zip(query).map(|(k, q)| f64::from(*k) * f64::from(*q)).sum()
                    })
                    .map(|score: f64| score.exp())
                    .collect();
                for (d, found) in found.iter().enumerate() {
                    let rows = past.values.chunks_exact(head_dim);
                    let mixed: f64 = rows.zip(&sizes).map(|(v, size)| size * f64::from(v[d])).sum();
                    let expected = mixed / sizes.iter().sum::<f64>();
                    assert!(
                        (f64::from(*found) - expected).abs() < 1e-6,
                        "{found} is not {expected}"
                    );
                }
            }
        }
    }
}
