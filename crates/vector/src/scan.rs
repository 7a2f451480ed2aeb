//! The loops of a chunked state-space scan that are not matrix products (state-space duality, Dao & Gu
//! 2024, arXiv:2405.21060, section 6).
//!
//! For one head, with `S_t = Σ_{i ≤ t} Δ_i·A` over the tokens of a chunk and `H` the state before it:
//!
//! ```text
//! y_t = Σ_{s ≤ t} (C_t·B_s) exp(S_t − S_s) Δ_s x_s  +  exp(S_t) C_t·H  +  D x_t
//! H' = exp(S_last) H + Σ_s exp(S_last − S_s) Δ_s x_s B_sᵀ
//! ```
//!
//! Nothing is divided by a decay and no exponent is above zero, so nothing can overflow.

use rayon::prelude::*;

use crate::{Columns, ROWS_PER_TASK, exp::exp, wide::vectorised};

/// `e^x`, and nothing below `e^-64` (2e-28): no sum of `f32` that matters would notice, and products with
/// less soon are denormal numbers, which the machine multiplies a hundred times slower.
#[inline(always)]
fn left(exponent: f32) -> f32 {
    if exponent < -64.0 { 0.0 } else { exp(exponent) }
}

/// How the heads forget over a chunk of tokens.
#[derive(Clone, Debug)]
pub struct Decays {
    tokens: usize,
    heads: usize,
    /// `S_t`, rounded to `f32`: `[heads, tokens]`.
    sums: Vec<f32>,
    /// What that rounding left over. Neighbours of a long sum differ by little, and the difference of
    /// the rounded sums alone would lose it.
    rests: Vec<f32>,
    /// `Δ_s`: `[heads, tokens]`.
    steps: Vec<f32>,
    /// `exp(S_t)`, what is left of the state before the chunk: `[tokens, heads]`.
    since_start: Vec<f32>,
    /// `exp(S_last − S_s)·Δ_s`, the weight of a token in the state after the chunk: `[tokens, heads]`.
    at_end: Vec<f32>,
}

impl Decays {
    /// # Shapes
    /// - `dt`: `[tokens, heads]`, `Δ`
    /// - `rates`: `[heads]`, `A`, at most 0
    ///
    /// # Panics
    /// Where `dt` is empty or holds no whole rows.
    pub fn new(dt: &[f32], rates: &[f32]) -> Self {
        let heads = rates.len();
        let tokens = dt.len() / heads;
        assert!(tokens > 0 && dt.len() == tokens * heads, "a time step for each head and token");
        let zeros = || vec![0.0; dt.len()];
        let (mut sums, mut rests, mut steps) = (zeros(), zeros(), zeros());
        let (mut since_start, mut until_end) = (zeros(), zeros());
        for (head, rate) in rates.iter().enumerate() {
            let mut sum = 0.0;
            for token in 0..tokens {
                let (at, by_token) = (head * tokens + token, token * heads + head);
                sum += f64::from(dt[by_token]) * f64::from(*rate);
                steps[at] = dt[by_token];
                sums[at] = sum as f32;
                rests[at] = (sum - f64::from(sums[at])) as f32;
            }
            for token in 0..tokens {
                let (at, by_token) = (head * tokens + token, token * heads + head);
                let exact = f64::from(sums[at]) + f64::from(rests[at]);
                since_start[by_token] = exact as f32;
                until_end[by_token] = (sum - exact) as f32;
            }
        }
        let mut at_end = until_end;
        exponentials(&mut since_start, &mut at_end, dt);
        Self { tokens, heads, sums, rests, steps, since_start, at_end }
    }

    /// How the tokens of the chunk mix: `scores[g, t, s] · exp(S_t − S_s) · Δ_s` for `s ≤ t`, zero after
    /// it, and `D` added on the diagonal; head `h` is of group `h // (heads / groups)`.
    ///
    /// # Shapes
    /// - `scores`: `[groups, tokens, tokens]`, `C_t·B_s`
    /// - `skip`: `[heads]`, `D`
    /// - returns: `[heads, tokens, tokens]`
    pub fn mix(&self, scores: &[f32], skip: &[f32]) -> Vec<f32> {
        let square = self.tokens * self.tokens;
        let heads_of_group = self.heads * square / scores.len();
        let mut out = vec![0.0; self.heads * square];
        out.par_chunks_mut(square).enumerate().for_each(|(head, out)| {
            let scores = &scores[head / heads_of_group * square..][..square];
            mix_head(out, scores, self, head, skip[head]);
        });
        out
    }

    /// Makes of the tokens what enters the state after the chunk: `exp(S_last − S_s) · Δ_s · x_s`.
    ///
    /// # Shapes
    /// - `x`: `[tokens, heads · head_dim]`
    pub fn weigh(&self, x: &mut [f32]) {
        let rows = x.len() / self.tokens * ROWS_PER_TASK;
        x.par_chunks_mut(rows)
            .zip(self.at_end.par_chunks(self.heads * ROWS_PER_TASK))
            .for_each(|(x, weights)| scale_heads(x, weights));
    }

    /// What the chunk reads: `near[h, t] + exp(S_t) · far[g, t, h]`.
    ///
    /// # Shapes
    /// - `near`: `[heads, tokens, head_dim]`, from the tokens of the chunk
    /// - `far`: `[groups, tokens, heads / groups · head_dim]`, `C_t·H`; `None` where `H` is zero
    /// - `groups`: number of groups; divides the number of heads
    /// - `y`: `[tokens, heads · head_dim]`
    pub fn read(&self, near: &[f32], far: Option<&[f32]>, groups: usize, y: &mut [f32]) {
        let rows = y.len() / self.tokens * ROWS_PER_TASK;
        y.par_chunks_mut(rows).enumerate().for_each(|(task, y)| {
            read_rows(y, task * ROWS_PER_TASK, self, near, far, self.heads / groups);
        });
    }

    /// The state after the chunk: `exp(S_last) · state + written`, in place.
    ///
    /// # Shapes
    /// - `state`: `[heads, head_dim, channels]`
    /// - `written`: the same, `Σ_s exp(S_last − S_s) Δ_s x_s B_sᵀ`
    pub fn carry(&self, state: &mut [f32], written: &[f32]) {
        let of_last = &self.since_start[(self.tokens - 1) * self.heads..];
        let block = state.len() / self.heads;
        state
            .par_chunks_mut(block)
            .zip(written.par_chunks(block))
            .zip(of_last)
            .for_each(|((state, written), left)| fade(state, *left, written));
    }
}

vectorised! {
    fn mix_head<'a>(
        out: &'a mut [f32],
        scores: &'a [f32],
        decays: &'a Decays,
        head: usize,
        skip: f32,
    ) -> () {
        /// Rows are filled up to a multiple of this, past the diagonal, so that whole registers are.
        const LANES: usize = 16;
        let tokens = decays.tokens;
        let of_head = head * tokens..(head + 1) * tokens;
        let (sums, rests) = (&decays.sums[of_head.clone()], &decays.rests[of_head.clone()]);
        let steps = &decays.steps[of_head];
        let rows = out.chunks_exact_mut(tokens).zip(scores.chunks_exact(tokens));
        for (t, (out, scores)) in rows.enumerate() {
            let filled = (t + 1).next_multiple_of(LANES).min(tokens);
            let (sum, rest) = (sums[t], rests[t]);
            let inputs = sums.iter().zip(rests).zip(scores.iter().zip(steps));
            for (out, ((s, r), (score, step))) in out[..filled].iter_mut().zip(inputs) {
                *out = score * step * left((sum - s) + (rest - r));
            }
            out[t] += skip;
            out[t + 1..].fill(0.0);
        }
    }
}

vectorised! {
    fn exponentials<'a>(
        since_start: &'a mut [f32],
        at_end: &'a mut [f32],
        steps: &'a [f32],
    ) -> () {
        for ((since_start, at_end), step) in since_start.iter_mut().zip(at_end).zip(steps) {
            *since_start = left(*since_start);
            *at_end = step * left(*at_end);
        }
    }
}

vectorised! {
    fn scale_heads<'a>(x: &'a mut [f32], weights: &'a [f32]) -> () {
        let head_dim = x.len() / weights.len();
        for (x, weight) in x.chunks_exact_mut(head_dim).zip(weights) {
            for x in x {
                *x *= weight;
            }
        }
    }
}

vectorised! {
    fn read_rows<'a>(
        y: &'a mut [f32],
        first: usize,
        decays: &'a Decays,
        near: &'a [f32],
        far: Option<&'a [f32]>,
        heads_of_group: usize,
    ) -> () {
        let Decays { tokens, heads, .. } = *decays;
        let head_dim = near.len() / (heads * tokens);
        for (row, y) in y.chunks_exact_mut(heads * head_dim).enumerate() {
            let token = first + row;
            let left = &decays.since_start[token * heads..][..heads];
            for ((head, y), left) in y.chunks_exact_mut(head_dim).enumerate().zip(left) {
                y.copy_from_slice(&near[(head * tokens + token) * head_dim..][..head_dim]);
                let Some(far) = far else { continue };
                let (group, of_group) = (head / heads_of_group, head % heads_of_group);
                let at = (group * tokens + token) * heads_of_group + of_group;
                for (y, far) in y.iter_mut().zip(&far[at * head_dim..][..head_dim]) {
                    *y = far.mul_add(*left, *y);
                }
            }
        }
    }
}

vectorised! {
    fn fade<'a>(state: &'a mut [f32], left: f32, written: &'a [f32]) -> () {
        for (state, written) in state.iter_mut().zip(written) {
            *state = state.mul_add(left, *written);
        }
    }
}

/// `Δ = softplus(raw + bias)`, kept within limits.
///
/// # Shapes
/// - `raw` and result: `[tokens, heads]`
/// - `bias`: `[heads]`
pub fn time_steps(raw: Columns<'_>, bias: &[f32], [low, high]: [f32; 2]) -> Vec<f32> {
    let mut out = vec![0.0; raw.rows() * bias.len()];
    out.par_chunks_mut(bias.len() * ROWS_PER_TASK).enumerate().for_each(|(task, out)| {
        for (row, out) in out.chunks_exact_mut(bias.len()).enumerate() {
            let raw = raw.row(task * ROWS_PER_TASK + row);
            for ((out, raw), bias) in out.iter_mut().zip(raw).zip(bias) {
                *out = softplus(raw + bias).clamp(low, high);
            }
        }
    });
    out
}

/// `ln(1 + e^x)`; beyond 20 it is `x` to the last bit.
fn softplus(x: f32) -> f32 {
    if x > 20.0 { x } else { x.exp().ln_1p() }
}
