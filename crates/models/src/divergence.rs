//! How far the predictions of two models are from each other.

use std::ops::Range;

use burn::tensor::Tensor;
use vector::LogSumExp;

use crate::{Batch, ExecutorError, Model, predictions::all_finite, tensor::Values};

/// Rows whose logits are held at a time, of both models: 25 MB with 49,152 ids.
const ROWS_AT_A_TIME: usize = 64;

/// The Jensen–Shannon divergence between the predictions of two models, nats, mean over the positions of
/// every sequence that have a target (all but its last); 0 where there is none:
///
/// ```text
/// JS(p, q) = ½·KL(p ‖ m) + ½·KL(q ‖ m)        m = ½·(p + q)
/// ```
///
/// (Lin 1991). Between 0 and ln 2. Sums go over the whole vocabulary, in `f64`.
///
/// # Shapes
/// - the hidden states of both: `[tokens, d_model]`, rows in the order of `batch`
///
/// # Errors
/// A logit that is NaN or infinite.
pub fn divergence_by_sequence(
    first: (&dyn Model, &Tensor<2>),
    second: (&dyn Model, &Tensor<2>),
    batch: &Batch,
) -> Result<Vec<f64>, ExecutorError> {
    let of_sequence = |tokens: Range<usize>| {
        let targets = tokens.len().saturating_sub(1);
        let mut sum = 0.0;
        for start in (0..targets).step_by(ROWS_AT_A_TIME) {
            let rows = ROWS_AT_A_TIME.min(targets - start);
            let first = Rows::of(first, tokens.start + start, rows)?;
            let second = Rows::of(second, tokens.start + start, rows)?;
            sum += (0..rows).map(|row| first.divergence(&second, row)).sum::<f64>();
        }
        Ok(if targets == 0 { 0.0 } else { sum / targets as f64 })
    };
    batch.sequences().map(of_sequence).collect()
}

/// The logits of some rows.
struct Rows {
    logits: Values<2>,
    sums: Vec<LogSumExp>,
}

impl Rows {
    fn of(
        (model, hidden): (&dyn Model, &Tensor<2>),
        start: usize,
        rows: usize,
    ) -> Result<Self, ExecutorError> {
        let tokens = 0;
        let vocabulary = model.facts().vocabulary;
        let logits = Values::of(model.logits(hidden.clone().narrow(tokens, start, rows)));
        let mut sums = vec![LogSumExp::EMPTY; rows];
        vector::add_logits(&mut sums, &logits, 0..vocabulary);
        all_finite(&sums)?;
        Ok(Self { logits, sums })
    }

    fn divergence(&self, other: &Self, row: usize) -> f64 {
        let of = |rows: &Self| rows.logits.len() / rows.sums.len();
        let (width, other_width) = (of(self), of(other));
        let own = &self.logits[row * width..(row + 1) * width];
        let others = &other.logits[row * other_width..(row + 1) * other_width];
        let (own_sum, other_sum) = (self.sums[row].nats(), other.sums[row].nats());
        let sum: f64 = own
            .iter()
            .zip(others)
            .map(|(own, other)| {
                let (ln_p, ln_q) = (f64::from(*own) - own_sum, f64::from(*other) - other_sum);
                let (p, q) = (ln_p.exp(), ln_q.exp());
                let m = 0.5 * (p + q);
                // Both may underflow; what they would add does too.
                let mixed = if m > 0.0 { m * m.ln() } else { 0.0 };
                0.5 * (p * ln_p + q * ln_q) - mixed
            })
            .sum();
        // Equal predictions leave the rounding of the sums, of either sign.
        if sum < 0.0 { 0.0 } else { sum }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::tensor::Device;

    use super::*;
    use crate::{Dense, into_values, load};

    /// The two halves of the definition, one position after the other, from softmax itself.
    #[test]
    fn it_is_the_mean_of_the_definition() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let load = |name: &str| load(&golden.join(name), &Device::flex()).unwrap().model;
        let (llama, opt) = (load("llama"), load("llama-bias"));
        let batch = Batch::new([&[1, 5, 9, 3, 2][..], &[7, 7][..], &[4][..]]);
        let hidden = |model: &dyn Model| model.forward(&batch, &mut Dense).unwrap();
        let (a, b) = (hidden(llama.as_ref()), hidden(opt.as_ref()));
        let found =
            divergence_by_sequence((llama.as_ref(), &a), (opt.as_ref(), &b), &batch).unwrap();
        let probabilities = |model: &dyn Model, hidden: &Tensor<2>| -> Vec<Vec<f64>> {
            let width = model.facts().vocabulary;
            let logits = into_values(model.logits(hidden.clone()));
            let softmax = |row: &[f32]| {
                let exps: Vec<f64> = row.iter().map(|x| f64::from(*x).exp()).collect();
                let sum: f64 = exps.iter().sum();
                exps.iter().map(|x| x / sum).collect()
            };
            logits.chunks(width).map(softmax).collect()
        };
        let (p, q) = (probabilities(llama.as_ref(), &a), probabilities(opt.as_ref(), &b));
        let kl =
            |p: &[f64], m: &[f64]| -> f64 { p.iter().zip(m).map(|(p, m)| p * (p / m).ln()).sum() };
        let js = |row: usize| {
            let m: Vec<f64> = p[row].iter().zip(&q[row]).map(|(p, q)| 0.5 * (p + q)).collect();
            0.5 * kl(&p[row], &m) + 0.5 * kl(&q[row], &m)
        };
        let expected = [(0..4).map(js).sum::<f64>() / 4.0, js(5), 0.0];
        for (found, expected) in found.iter().zip(expected) {
            // Log-sum-exp adds up in f32 within a block of logits.
            assert!((found - expected).abs() < 1e-7, "{found} {expected}");
        }
        assert!(found[0] > 1e-3, "the two models differ");
        let same = divergence_by_sequence((opt.as_ref(), &b), (opt.as_ref(), &b), &batch).unwrap();
        assert_eq!(same, [0.0; 3]);
    }
}
