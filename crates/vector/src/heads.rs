//! From the rows of a projection to attention heads and back, with rotary positions on the way.

use std::ops::Range;

use rayon::prelude::*;

use crate::wide::vectorised;

/// Cosines and sines of rotary position embedding (Su et al. 2021, arXiv:2104.09864) in the
/// half-split form of the Llama family: entry `i` turns with entry `i + head_dim/2`.
#[derive(Clone, Debug)]
pub struct Rotary {
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rotary {
    /// Angles `position · inverse[i]` of every position of a range, in `f32` as the reference computes
    /// them; `inverse` is `theta^(-2i/head_dim)` where nothing is scaled.
    pub fn new(inverse: &[f32], positions: Range<usize>) -> Self {
        let angles = positions.flat_map(|p| inverse.iter().map(move |f| p as f32 * f));
        let (cos, sin) = angles.map(|a: f32| (a.cos(), a.sin())).unzip();
        Self { half: inverse.len(), cos, sin }
    }

    /// Cosines `[positions, head_dim/2]`.
    pub fn cos(&self) -> &[f32] {
        &self.cos
    }

    /// Sines `[positions, head_dim/2]`.
    pub fn sin(&self) -> &[f32] {
        &self.sin
    }

    #[inline(always)]
    fn turn(&self, row: usize, scale: f32, from: &[f32], to: &mut [f32]) {
        let at = row * self.half;
        let (cos, sin) = (&self.cos[at..at + self.half], &self.sin[at..at + self.half]);
        let (low, high) = from.split_at(self.half);
        let (to_low, to_high) = to.split_at_mut(self.half);
        let pairs = low.iter().zip(high).zip(cos.iter().zip(sin));
        for (((low, high), (cos, sin)), (to_low, to_high)) in
            pairs.zip(to_low.iter_mut().zip(to_high))
        {
            *to_low = (low * cos - high * sin) * scale;
            *to_high = (high * cos + low * sin) * scale;
        }
    }
}

/// Rows of one sequence, `[tokens, heads · head_dim]`, as heads `[heads, tokens, head_dim]`, times
/// `scale`, turned by `rotary` where given (row by row of its table).
pub fn gather_heads(
    rows: &[f32],
    heads: usize,
    head_dim: usize,
    scale: f32,
    rotary: Option<&Rotary>,
) -> Vec<f32> {
    let width = heads * head_dim;
    let tokens = rows.len() / width;
    let mut out = vec![0.0; rows.len()];
    if tokens == 0 {
        return out;
    }
    out.par_chunks_mut(tokens * head_dim).enumerate().for_each(|(head, out)| {
        gather_head(out, &rows[head * head_dim..], width, head_dim, scale, rotary);
    });
    out
}

vectorised! {
    /// One head; `rows` starts at its first entry.
    fn gather_head<'a>(
        out: &'a mut [f32],
        rows: &'a [f32],
        width: usize,
        head_dim: usize,
        scale: f32,
        rotary: Option<&'a Rotary>,
    ) -> () {
        for (t, out) in out.chunks_exact_mut(head_dim).enumerate() {
            let from = &rows[t * width..][..head_dim];
            match rotary {
                Some(rotary) => rotary.turn(t, scale, from, out),
                None => {
                    for (o, x) in out.iter_mut().zip(from) {
                        *o = x * scale;
                    }
                }
            }
        }
    }
}

/// The way back for rows `first..first + n` of a sequence: `[heads, n, head_dim]` into
/// `[n, heads · head_dim]`.
pub fn scatter_heads(from: &[f32], heads: usize, head_dim: usize, to: &mut [f32]) {
    let width = heads * head_dim;
    let rows = to.len() / width;
    to.par_chunks_mut(width).enumerate().for_each(|(t, to)| {
        for (head, to) in to.chunks_exact_mut(head_dim).enumerate() {
            to.copy_from_slice(&from[(head * rows + t) * head_dim..][..head_dim]);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let (tokens, heads, head_dim) = (5, 3, 4);
        let rows: Vec<f32> = (0..tokens * heads * head_dim).map(|i| i as f32).collect();
        let gathered = gather_heads(&rows, heads, head_dim, 1.0, None);
        assert_eq!(gathered[tokens * head_dim], rows[head_dim], "head 1 starts at column head_dim");
        let mut back = vec![0.0; rows.len()];
        scatter_heads(&gathered, heads, head_dim, &mut back);
        assert_eq!(rows, back);
    }

    /// A turn keeps the length of every pair and does nothing at position 0.
    #[test]
    fn rotary_is_a_rotation() {
        let inverse = [1.0, 0.1, 0.01, 0.001];
        let rotary = Rotary::new(&inverse, 0..7);
        let later = Rotary::new(&inverse, 3..7);
        assert_eq!(rotary.cos()[3 * 4..], *later.cos(), "a later start is a later part");
        let rows: Vec<f32> = (0..7 * 8).map(|i| (i % 5) as f32 - 2.0).collect();
        let out = gather_heads(&rows, 1, 8, 1.0, Some(&rotary));
        assert_eq!(out[..8], rows[..8]);
        for (a, b) in rows.chunks(8).zip(out.chunks(8)) {
            for i in 0..4 {
                let before = a[i].hypot(a[i + 4]);
                assert!((before - b[i].hypot(b[i + 4])).abs() < 1e-6);
            }
        }
    }
}
