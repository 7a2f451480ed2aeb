//! Protocol `ppl-T`: the NLL of every window.

use models::{
    Batch, Dense, Executor, ExecutorError, Model, divergence_by_sequence, nll_by_sequence,
};

/// One window of a perplexity protocol.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowResult {
    /// Negative log-likelihood of all targets, nats.
    pub nll_nats: f64,
    /// Number of targets: one less than ids.
    pub n_targets: usize,
    /// Jensen–Shannon divergence to the predictions of another model, nats, mean over the targets; none
    /// where there is no other.
    pub js_nats: Option<f64>,
}

/// The windows of one batch, in order. Every id is read; all but the first of a window are targets. Where
/// a `reference` is given, it is run too, dense, and the predictions of both are compared.
///
/// # Errors
/// What the model or the executor refuses, and a model that overflows.
pub fn evaluate_windows(
    model: &dyn Model,
    executor: &mut dyn Executor,
    windows: &[&[u32]],
    reference: Option<&dyn Model>,
) -> Result<Vec<WindowResult>, ExecutorError> {
    let batch = Batch::new(windows.iter().copied());
    let hidden = model.forward(&batch, executor)?;
    let nll = nll_by_sequence(model, &hidden, &batch)?;
    let divergences = match reference {
        Some(reference) => {
            let others = reference.forward(&batch, &mut Dense)?;
            let both = ((model, &hidden), (reference, &others));
            divergence_by_sequence(both.0, both.1, &batch)?.into_iter().map(Some).collect()
        }
        None => vec![None; nll.len()],
    };
    let results = batch.sequences().zip(nll).zip(divergences).map(|((rows, nll_nats), js_nats)| {
        WindowResult { nll_nats, n_targets: rows.len() - 1, js_nats }
    });
    Ok(results.collect())
}
