//! Protocol `ppl-T`: the NLL of every window.

use models::{Batch, Executor, ExecutorError, Model, nll_by_sequence};

/// One window of a perplexity protocol.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowResult {
    /// Negative log-likelihood of all targets, nats.
    pub nll_nats: f64,
    /// Number of targets: one less than ids.
    pub n_targets: usize,
}

/// The windows of one batch, in order. Every id is read; all but the first of a window are targets.
///
/// # Errors
/// What the model or the executor refuses, and a model that overflows.
pub fn evaluate_windows(
    model: &dyn Model,
    executor: &mut dyn Executor,
    windows: &[&[u32]],
) -> Result<Vec<WindowResult>, ExecutorError> {
    let batch = Batch::new(windows.iter().copied());
    let hidden = model.forward(&batch, executor)?;
    let nll = nll_by_sequence(model, &hidden, &batch)?;
    let results = batch
        .sequences()
        .zip(nll)
        .map(|(rows, nll_nats)| WindowResult { nll_nats, n_targets: rows.len() - 1 });
    Ok(results.collect())
}
