//! Softmax of causal attention, and the log-sum-exp and argmax of logits.

use std::ops::Range;

use rayon::prelude::*;

use crate::{ROWS_PER_TASK, exp::exp, wide::vectorised};

/// Which keys the queries of a block see, both counted from the block's first key.
#[derive(Clone, Copy, Debug)]
pub struct Visible {
    /// Queries of the block; a row `r` of the scores belongs to query `r % queries`.
    pub queries: usize,
    /// Keys of the block.
    pub keys: usize,
    /// Position of the first query.
    pub first: usize,
    /// Keys a query sees at most, itself among them; `None` for all before it.
    pub window: Option<usize>,
}

impl Visible {
    #[inline(always)]
    fn of(&self, row: usize) -> Range<usize> {
        let end = self.first + row % self.queries + 1;
        self.window.map_or(0, |window| end.saturating_sub(window))..end
    }
}

/// Causal softmax in place; what a row may not see becomes zero.
///
/// # Shapes
/// - `scores`: `[…, queries, keys]`, already scaled
pub fn causal_softmax(scores: &mut [f32], visible: Visible) {
    scores.par_chunks_mut(visible.keys * ROWS_PER_TASK).enumerate().for_each(|(task, chunk)| {
        causal_rows(chunk, task * ROWS_PER_TASK, visible);
    });
}

vectorised! {
    fn causal_rows<'a>(chunk: &'a mut [f32], row: usize, visible: Visible) -> () {
        for (i, scores) in chunk.chunks_exact_mut(visible.keys).enumerate() {
            let seen = visible.of(row + i);
            scores[..seen.start].fill(0.0);
            scores[seen.end..].fill(0.0);
            softmax(&mut scores[seen]);
        }
    }
}

const LANES: usize = 32;

#[inline(always)]
fn softmax(row: &mut [f32]) {
    let max = maximum(row);
    let mut lanes = [0.0_f32; LANES];
    let mut blocks = row.chunks_exact_mut(LANES);
    for block in &mut blocks {
        for (lane, x) in lanes.iter_mut().zip(block) {
            *x = exp(*x - max);
            *lane += *x;
        }
    }
    let mut sum = 0.0;
    for x in blocks.into_remainder() {
        *x = exp(*x - max);
        sum += *x;
    }
    let scale = 1.0 / (sum + lanes.iter().sum::<f32>());
    for x in row {
        *x *= scale;
    }
}

#[inline(always)]
fn maximum(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let blocks = row.chunks_exact(LANES);
    let rest = blocks.remainder().iter().fold(f32::NEG_INFINITY, |m, x| m.max(*x));
    for block in blocks {
        for (lane, x) in lanes.iter_mut().zip(block) {
            *lane = if *x > *lane { *x } else { *lane };
        }
    }
    lanes.iter().fold(rest, |m, x| m.max(*x))
}

/// Index of the first value that is NaN or infinite: times zero, it is all that is not zero.
#[inline(always)]
fn first_non_finite(row: &[f32]) -> Option<usize> {
    let mut lanes = [0.0_f32; LANES];
    let blocks = row.chunks_exact(LANES);
    let mut rest = 0.0;
    for x in blocks.remainder() {
        rest += x * 0.0;
    }
    for block in blocks {
        for (lane, x) in lanes.iter_mut().zip(block) {
            *lane += x * 0.0;
        }
    }
    match rest + lanes.iter().sum::<f32>() == 0.0 {
        true => None,
        false => row.iter().position(|x| !x.is_finite()),
    }
}

/// `ln Σ exp(logit)` and the argmax of a row of logits that is seen part by part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogSumExp {
    max: f32,
    /// Σ exp(logit − max).
    sum: f64,
    argmax: usize,
    /// The first logit that is no number, and its index.
    non_finite: Option<(usize, f32)>,
}

impl LogSumExp {
    /// Of no logit.
    pub const EMPTY: Self = Self { max: f32::NEG_INFINITY, sum: 0.0, argmax: 0, non_finite: None };

    /// The first logit that is NaN or infinite, and its index: then sum and argmax mean nothing, for a NaN
    /// passes every comparison unseen.
    pub fn non_finite(&self) -> Option<(usize, f32)> {
        self.non_finite
    }

    /// `ln Σ exp(logit)`, nats.
    pub fn nats(&self) -> f64 {
        f64::from(self.max) + self.sum.ln()
    }

    /// The largest logit.
    pub fn max(&self) -> f32 {
        self.max
    }

    /// Index of the largest logit; the lowest on ties.
    pub fn argmax(&self) -> usize {
        self.argmax
    }
}

/// Adds the logits of the ids `columns` to what is known of every row.
///
/// Exponentials are `f32`; they are added in 32 lanes over blocks of 1,024 entries and the blocks in
/// `f64`, so the relative error of the sum stays near that of one `exp`.
///
/// # Shapes
/// - `rows`: one entry a token
/// - `logits`: `[tokens, columns]`
pub fn add_logits(rows: &mut [LogSumExp], logits: &[f32], columns: Range<usize>) {
    rows.par_iter_mut()
        .zip(logits.par_chunks_exact(columns.len()))
        .for_each(|(row, logits)| add_logits_row(row, logits, columns.start));
}

vectorised! {
    fn add_logits_row<'a>(row: &'a mut LogSumExp, logits: &'a [f32], first: usize) -> () {
        const BLOCK: usize = 1024;
        if row.non_finite.is_none() {
            row.non_finite = first_non_finite(logits).map(|at| (first + at, logits[at]));
        }
        let largest = maximum(logits);
        if largest > row.max {
            row.sum *= f64::from(row.max - largest).exp();
            row.max = largest;
            row.argmax = first + logits.iter().position(|x| *x == largest).unwrap_or(0);
        }
        let max = row.max;
        for block in logits.chunks(BLOCK) {
            let mut lanes = [0.0_f32; LANES];
            let parts = block.chunks_exact(LANES);
            for x in parts.remainder() {
                row.sum += f64::from(exp(*x - max));
            }
            for part in parts {
                for (lane, x) in lanes.iter_mut().zip(part) {
                    *lane += exp(*x - max);
                }
            }
            row.sum += lanes.iter().map(|x| f64::from(*x)).sum::<f64>();
        }
    }
}

/// The gradient of `scale · Σ −ln p(target)` with respect to the logits: `scale · (p − one-hot)`, in place
/// of the logits. `rows` holds the sums over all of them.
///
/// # Shapes
/// - `rows`, `targets`: one entry a token
/// - `logits`: `[tokens, vocabulary]`
pub fn nll_slope(rows: &[LogSumExp], logits: &mut [f32], targets: &[u32], scale: f32) {
    let vocabulary = logits.len() / rows.len().max(1);
    logits.par_chunks_exact_mut(vocabulary).zip(rows).zip(targets).for_each(
        |((logits, row), target)| {
            nll_slope_row(logits, row.nats() as f32, scale);
            logits[*target as usize] -= scale;
        },
    );
}

vectorised! {
    fn nll_slope_row<'a>(logits: &'a mut [f32], nats: f32, scale: f32) -> () {
        for logit in logits {
            *logit = exp(*logit - nats) * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against `f64`, in one part and in several: 2e-6 nats absolute.
        #[test]
        fn log_sum_exp_equals_naive(
            row in prop::collection::vec(-40.0_f32..40.0, 1..3000), part in 1_usize..3000,
        ) {
            let mut fast = [LogSumExp::EMPTY];
            for (i, logits) in row.chunks(part).enumerate() {
                add_logits(&mut fast, logits, i * part..i * part + logits.len());
            }
            let max = row.iter().copied().max_by(f32::total_cmp).unwrap_or(f32::MIN);
            let naive = f64::from(max)
                + row.iter().map(|x| (f64::from(*x) - f64::from(max)).exp()).sum::<f64>().ln();
            prop_assert!((fast[0].nats() - naive).abs() < 2e-6);
            prop_assert_eq!(Some(fast[0].argmax()), row.iter().position(|x| *x == max));
        }

        #[test]
        fn causal_rows_sum_to_one(
            queries in 1_usize..9, first in 0_usize..9, window in prop::option::of(1_usize..7),
        ) {
            let keys = first + queries;
            let mut scores: Vec<f32> =
                (0..2 * queries * keys).map(|i| ((i * 31) % 17) as f32 / 3.0).collect();
            causal_softmax(&mut scores, Visible { queries, keys, first, window });
            for (i, row) in scores.chunks(keys).enumerate() {
                let query = first + i % queries;
                prop_assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
                for (key, weight) in row.iter().enumerate() {
                    let seen = key <= query && window.is_none_or(|window| query - key < window);
                    prop_assert_eq!(*weight > 0.0, seen);
                }
            }
        }
    }

    proptest! {
        /// Against the definition in `f64`: 1e-6 of the scale.
        #[test]
        fn slope_is_p_less_one_hot(
            logits in prop::collection::vec(-9.0_f32..9.0, 3 * 70), targets in prop::array::uniform3(0_u32..70),
        ) {
            let mut rows = [LogSumExp::EMPTY; 3];
            add_logits(&mut rows, &logits, 0..70);
            let mut slope = logits.clone();
            nll_slope(&rows, &mut slope, &targets, 0.25);
            for (token, target) in targets.iter().enumerate() {
                let row = &logits[token * 70..][..70];
                let sum: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
                for (id, logit) in row.iter().enumerate() {
                    let p = f64::from(*logit).exp() / sum;
                    let expected = 0.25 * (p - f64::from(u8::from(id == *target as usize)));
                    prop_assert!((f64::from(slope[token * 70 + id]) - expected).abs() < 2.5e-7);
                }
            }
        }
    }

    /// Wherever it stands, in lanes or after them, in the first part or a later one.
    #[test]
    fn what_is_no_number_is_found() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 31, 64, 69, 70, 139] {
                let mut logits = vec![-1.5; 140];
                logits[at] = value;
                let mut row = [LogSumExp::EMPTY];
                add_logits(&mut row, &logits[..70], 0..70);
                add_logits(&mut row, &logits[70..], 70..140);
                let found = row[0].non_finite().map(|(at, value)| (at, value.to_bits()));
                assert_eq!(found, Some((at, value.to_bits())));
            }
        }
        let mut row = [LogSumExp::EMPTY];
        add_logits(&mut row, &[f32::MAX, -f32::MAX, 0.0], 0..3);
        assert_eq!(row[0].non_finite(), None);
    }

    #[test]
    fn ties_go_to_the_lowest_index() {
        let mut row = [LogSumExp::EMPTY];
        add_logits(&mut row, &[1.0, 3.0], 0..2);
        add_logits(&mut row, &[3.0, 2.0], 2..4);
        assert_eq!(row[0].argmax(), 1);
    }
}
