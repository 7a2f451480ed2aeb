//! Protocol `ppl-T`: the NLL of every window.

use models::{Batch, Executor, ExecutorError, Model, predictions};

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
/// What the model or the executor refuses.
pub fn evaluate_windows(
    model: &dyn Model,
    executor: &mut dyn Executor,
    windows: &[&[u32]],
) -> Result<Vec<WindowResult>, ExecutorError> {
    let batch = Batch::new(windows.iter().copied());
    let hidden = model.forward(&batch, executor)?;
    let results = batch.sequences().map(|rows| {
        let targets = &batch.ids()[rows.start + 1..rows.end];
        if targets.is_empty() {
            return WindowResult { nll_nats: 0.0, n_targets: 0 };
        }
        let hidden = hidden.clone().narrow(0, rows.start, targets.len());
        let nll_nats = predictions(model, hidden, targets).iter().map(|p| -p.logprob).sum();
        WindowResult { nll_nats, n_targets: targets.len() }
    });
    Ok(results.collect())
}
