//! One token of a state-space recurrence.

use rayon::prelude::*;

use crate::{exp::exp, wide::vectorised};

/// What one token brings to the recurrence.
#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    /// `[heads · head_dim]`.
    pub x: &'a [f32],
    /// `[groups · channels]`.
    pub b: &'a [f32],
    /// `[groups · channels]`.
    pub c: &'a [f32],
    /// `Δ`: `[heads]`.
    pub dt: &'a [f32],
}

/// `H = exp(Δ·A)·H + Δ·x·Bᵀ` and `y = H·C + D·x`, head by head; head `h` is of group
/// `h // (heads / groups)`.
///
/// # Shapes
/// - `state`: `H`, `[heads, head_dim, channels]`
/// - `rates`, `skip`: `A` and `D`, `[heads]`
/// - `y`: `[heads · head_dim]`
pub fn step(state: &mut [f32], token: Token<'_>, rates: &[f32], skip: &[f32], y: &mut [f32]) {
    let heads = rates.len();
    let channels = state.len() / token.x.len();
    let heads_of_group = heads * channels / token.b.len();
    state
        .par_chunks_mut(state.len() / heads)
        .zip(y.par_chunks_mut(token.x.len() / heads))
        .enumerate()
        .for_each(|(head, (state, y))| {
            let group = head / heads_of_group * channels;
            let (b, c) = (&token.b[group..][..channels], &token.c[group..][..channels]);
            let x = &token.x[head * y.len()..][..y.len()];
            let factors = Factors {
                decay: exp(token.dt[head] * rates[head]),
                dt: token.dt[head],
                skip: skip[head],
            };
            step_head(state, y, x, b, c, factors);
        });
}

#[derive(Clone, Copy)]
struct Factors {
    decay: f32,
    dt: f32,
    skip: f32,
}

vectorised! {
    fn step_head<'a>(
        state: &'a mut [f32],
        y: &'a mut [f32],
        x: &'a [f32],
        b: &'a [f32],
        c: &'a [f32],
        factors: Factors,
    ) -> () {
        let rows = state.chunks_exact_mut(b.len());
        for ((row, y), x) in rows.zip(y.iter_mut()).zip(x) {
            *y = factors.skip.mul_add(*x, write_and_read(row, factors.decay, factors.dt * x, b, c));
        }
    }
}

const LANES: usize = 16;

/// One row of the state: written to, then read by `c`, in 16 interleaved partial sums.
#[inline(always)]
fn write_and_read(row: &mut [f32], decay: f32, write: f32, b: &[f32], c: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (rows, row_rest) = row.as_chunks_mut::<LANES>();
    let ((b, b_rest), (c, c_rest)) = (b.as_chunks::<LANES>(), c.as_chunks::<LANES>());
    for ((row, b), c) in rows.iter_mut().zip(b).zip(c) {
        // Stored as a whole, so that the compiler need not fear that the slices overlap.
        let mut next = *row;
        for (((next, b), c), lane) in next.iter_mut().zip(b).zip(c).zip(&mut lanes) {
            *next = write.mul_add(*b, decay * *next);
            *lane = next.mul_add(*c, *lane);
        }
        *row = next;
    }
    let mut sum = 0.0;
    for (h, (b, c)) in row_rest.iter_mut().zip(b_rest.iter().zip(c_rest)) {
        *h = write.mul_add(*b, decay * *h);
        sum += *h * c;
    }
    sum + lanes.iter().sum::<f32>()
}
