//! Last-word protocols: every item right or wrong, and how likely its target was.

use corpora::Item;
use models::{Batch, Executor, ExecutorError, Model, predictions};

/// One item of a last-word task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ItemResult {
    /// Number of the item in its file, from 0.
    pub index: usize,
    /// Whether the argmax equals the target at every target position, teacher-forced.
    pub correct: bool,
    /// Σ log-probability of the target ids, nats.
    pub logprob_nats: f64,
    /// Ids of the target.
    pub n_targets: usize,
    /// Ids the model read.
    pub n_tokens: usize,
    /// Sentences between the place where the last word was settled and the question, where it is known.
    pub distance_sentences: Option<u32>,
}

/// The items of one batch, in order. Only target positions are multiplied with the head.
///
/// # Errors
/// What the model or the executor refuses, and a model that overflows.
pub fn evaluate_items(
    model: &dyn Model,
    executor: &mut dyn Executor,
    items: &[Item],
) -> Result<Vec<ItemResult>, ExecutorError> {
    let batch = Batch::new(items.iter().map(|item| item.ids.as_slice()));
    let hidden = model.forward(&batch, executor)?;
    let results = items.iter().zip(batch.sequences()).map(|(item, rows)| {
        let targets = item.targets();
        // The row in front of an id predicts it.
        let first = rows.end - 1 - targets.len();
        let hidden = hidden.clone().narrow(0, first, targets.len());
        let predictions = predictions(model, hidden, targets)?;
        Ok(ItemResult {
            index: item.index,
            correct: predictions.iter().all(|p| p.is_argmax),
            logprob_nats: predictions.iter().map(|p| p.logprob).sum(),
            n_targets: targets.len(),
            n_tokens: rows.len(),
            distance_sentences: item.distance_sentences,
        })
    });
    results.collect()
}
