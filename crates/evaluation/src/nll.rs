//! Log-probabilities of given ids, from hidden states, without ever holding all logits.

use models::{Model, Tensor, Values};
use vector::LogSumExp;

/// Columns of the vocabulary whose logits are held at a time: 17 MB for a window of 1,024 tokens. The
/// head, the largest matrix of a small model, is read once that way.
const COLUMNS_AT_A_TIME: usize = 4096;

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
    let mut sums = vec![LogSumExp::EMPTY; targets.len()];
    let mut of_targets = vec![0.0_f64; targets.len()];
    for first in (0..vocabulary).step_by(COLUMNS_AT_A_TIME) {
        let columns = first..vocabulary.min(first + COLUMNS_AT_A_TIME);
        let logits = Values::of(model.logits_of(hidden.clone(), columns.clone()));
        vector::add_logits(&mut sums, &logits, columns.clone());
        let rows = logits.chunks_exact(columns.len()).zip(targets).zip(&mut of_targets);
        for ((logits, target), of_target) in rows {
            let target = *target as usize;
            if columns.contains(&target) {
                *of_target = f64::from(logits[target - columns.start]);
            }
        }
    }
    let rows = sums.iter().zip(of_targets).zip(targets);
    rows.map(|((sum, logit), target)| Prediction {
        logprob: logit - sum.nats(),
        is_argmax: sum.argmax() == *target as usize,
    })
    .collect()
}
