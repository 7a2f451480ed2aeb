//! Log-probabilities of given ids from hidden states, likeliest ids, and the slope of the loss, without ever
//! holding all logits of a sequence.

use std::ops::Range;

use burn::tensor::Tensor;
use vector::LogSumExp;

use crate::{Batch, ExecutorError, Model, tensor::Values};

/// Columns of the vocabulary whose logits are held at a time: 17 MB for a window of 1,024 tokens. The
/// head, the largest matrix of a small model, is read once that way.
const COLUMNS_AT_A_TIME: usize = 4096;

/// What a model says of one id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// `ln p(id)`, nats.
    pub logprob: f64,
    /// Whether the id has the largest logit (the lowest id on ties).
    pub is_argmax: bool,
}

/// Predictions of `targets[i]` from row `i` of `hidden`.
///
/// # Shapes
/// - `hidden`: `[rows, d_model]`
/// - `targets`: one id a row
///
/// # Errors
/// A logit that is NaN or infinite, of whatever id.
pub fn predictions(
    model: &dyn Model,
    hidden: Tensor<2>,
    targets: &[u32],
) -> Result<Vec<Prediction>, ExecutorError> {
    let mut of_targets = vec![0.0_f64; targets.len()];
    let sums = sums(model, hidden, |logits, columns| {
        let rows = logits.chunks_exact(columns.len()).zip(targets).zip(&mut of_targets);
        for ((logits, target), of_target) in rows {
            let target = *target as usize;
            if columns.contains(&target) {
                *of_target = f64::from(logits[target - columns.start]);
            }
        }
    })?;
    let rows = sums.iter().zip(of_targets).zip(targets);
    let predictions = rows.map(|((sum, logit), target)| Prediction {
        logprob: logit - sum.nats(),
        is_argmax: sum.argmax() == *target as usize,
    });
    Ok(predictions.collect())
}

/// The id that a model would say, and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FirstChoice {
    /// The id of the largest logit, the lowest on ties.
    pub id: u32,
    /// Its probability, 0 to 1.
    pub probability: f64,
}

/// The likeliest id of every row.
///
/// # Shapes
/// - `hidden`: `[rows, d_model]`
///
/// # Errors
/// As [`predictions`].
pub fn first_choices(
    model: &dyn Model,
    hidden: Tensor<2>,
) -> Result<Vec<FirstChoice>, ExecutorError> {
    let of_row = |sum: &LogSumExp| FirstChoice {
        id: sum.argmax() as u32,
        probability: (f64::from(sum.max()) - sum.nats()).exp(),
    };
    Ok(sums(model, hidden, |_, _| {})?.iter().map(of_row).collect())
}

/// What the logits of every row add up to. `each` sees them part by part, with the ids of the part.
fn sums(
    model: &dyn Model,
    hidden: Tensor<2>,
    mut each: impl FnMut(&[f32], &Range<usize>),
) -> Result<Vec<LogSumExp>, ExecutorError> {
    let vocabulary = model.facts().vocabulary;
    let [rows, _] = hidden.dims();
    let mut sums = vec![LogSumExp::EMPTY; rows];
    for first in (0..vocabulary).step_by(COLUMNS_AT_A_TIME) {
        let columns = first..vocabulary.min(first + COLUMNS_AT_A_TIME);
        let logits = Values::of(model.logits_of(hidden.clone(), columns.clone()));
        vector::add_logits(&mut sums, &logits, columns.clone());
        each(&logits, &columns);
    }
    all_finite(&sums)?;
    Ok(sums)
}

/// Every way from logits to a loss, a log-probability or an argmax leads through here.
pub(crate) fn all_finite(sums: &[LogSumExp]) -> Result<(), ExecutorError> {
    let bad = sums.iter().enumerate().find_map(|(row, sum)| Some((row, sum.non_finite()?)));
    match bad {
        None => Ok(()),
        Some((row, (id, value))) => Err(ExecutorError::NonFiniteLogit { row, id, value }),
    }
}

/// Σ −ln p, nats, of the targets of every sequence of a batch: all its ids but the first; 0 where there is
/// none.
///
/// # Shapes
/// - `hidden`: `[tokens, d_model]`, rows in the order of `batch`
///
/// # Errors
/// As [`predictions`].
pub fn nll_by_sequence(
    model: &dyn Model,
    hidden: &Tensor<2>,
    batch: &Batch,
) -> Result<Vec<f64>, ExecutorError> {
    let rows = 0;
    let of_sequence = |tokens: Range<usize>| {
        let targets = &batch.ids()[tokens.start + 1..tokens.end];
        if targets.is_empty() {
            return Ok(0.0);
        }
        let hidden = hidden.clone().narrow(rows, tokens.start, targets.len());
        Ok(predictions(model, hidden, targets)?.iter().map(|p| -p.logprob).sum())
    };
    batch.sequences().map(of_sequence).collect()
}

/// Σ −ln p of the targets, and `(softmax − one-hot) / n`: the gradient of their mean at the logits, where
/// `n` is the number of targets that the mean goes over. The chain rule through log-softmax would take a
/// dozen passes for what is one.
///
/// # Shapes
/// - `logits` and the gradient: `[targets, vocabulary]`, on a device without gradients
///
/// # Errors
/// As [`predictions`].
pub fn nll_and_slope(
    logits: Tensor<2>,
    targets: &[u32],
    n: usize,
) -> Result<(f64, Tensor<2>), ExecutorError> {
    let [rows, vocabulary] = logits.dims();
    let mut logits = Values::of(logits);
    let mut sums = vec![LogSumExp::EMPTY; rows];
    vector::add_logits(&mut sums, &logits, 0..vocabulary);
    all_finite(&sums)?;
    let of_target = |row: usize| f64::from(logits[row * vocabulary + targets[row] as usize]);
    let nll = sums.iter().enumerate().map(|(row, sum)| sum.nats() - of_target(row)).sum();
    vector::nll_slope(&sums, &mut logits, targets, 1.0 / n as f32);
    Ok((nll, logits.into_tensor()))
}
