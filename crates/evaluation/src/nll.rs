//! Log-probabilities of given ids, from hidden states, without ever holding all logits.

use models::{Model, Tensor, Values};
use vector::log_sum_exp;

/// Rows whose logits are held at a time: at a vocabulary of 49,152 they take 25 MB.
const ROWS_AT_A_TIME: usize = 128;

/// What a model says of one id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Prediction {
    /// `ln p(id)`, nats.
    pub(crate) logprob: f64,
    /// Whether the id has the largest logit (the lowest id on ties).
    pub(crate) is_argmax: bool,
}

/// Predictions of `targets[i]` from row `i` of `hidden`.
///
/// # Shapes
/// - `hidden`: `[rows, d_model]`
/// - `targets`: one id a row
pub(crate) fn predictions(
    model: &dyn Model,
    hidden: Tensor<2>,
    targets: &[u32],
) -> Vec<Prediction> {
    let vocabulary = model.facts().vocabulary;
    let mut out = Vec::with_capacity(targets.len());
    for (chunk, targets) in targets.chunks(ROWS_AT_A_TIME).enumerate() {
        let rows = hidden.clone().narrow(0, chunk * ROWS_AT_A_TIME, targets.len());
        let logits = Values::of(model.logits(rows));
        let sums = log_sum_exp(&logits, vocabulary);
        for ((logits, sum), target) in logits.chunks_exact(vocabulary).zip(sums).zip(targets) {
            let logit = f64::from(logits[*target as usize]);
            out.push(Prediction {
                logprob: logit - sum.nats,
                is_argmax: sum.argmax == *target as usize,
            });
        }
    }
    out
}
