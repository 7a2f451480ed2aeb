//! One treatment over one material, batch by batch.

use std::time::Instant;

use evaluation::{evaluate_items, evaluate_windows};
use importance::{Calibrating, Calibration};
use models::{Batch, ExecutorError, Model};
use pruning::{Measuring as _, Selection, Shares, Skipping};
use tables::{ItemRow, WindowRow};

use crate::{material::Material, stop::Stop};

/// Rows of one cell.
#[derive(Debug)]
pub(crate) enum Rows {
    Windows(Vec<WindowRow>),
    Items(Vec<ItemRow>),
}

/// What a cell came to.
#[derive(Debug)]
pub(crate) struct Evaluated {
    pub(crate) rows: Rows,
    pub(crate) seconds: f64,
    pub(crate) tokens: u64,
    /// Shares of all sequences together.
    pub(crate) total: Shares,
}

impl Evaluated {
    pub(crate) fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }
}

/// Runs every batch; `None` if asked to stop on the way.
///
/// `progress` is told of windows or items and of tokens done.
pub(crate) fn evaluate(
    model: &dyn Model,
    selection: Selection,
    material: &Material,
    stop: &Stop,
    mut progress: impl FnMut(usize, usize),
) -> Result<Option<Evaluated>, ExecutorError> {
    let started = Instant::now();
    let mut executor = Skipping::new(selection);
    let (mut windows, mut items) = (Vec::new(), Vec::new());
    let (mut tokens, mut total) = (0, Shares::default());
    for batch in material.batches() {
        if stop.asked() {
            return Ok(None);
        }
        match material {
            Material::Windows { windows: all, .. } => {
                let ids: Vec<&[u32]> = all[batch.clone()].iter().map(Vec::as_slice).collect();
                let results = evaluate_windows(model, &mut executor, &ids)?;
                let rows = results.into_iter().zip(executor.take_shares()).zip(batch.clone());
                for ((result, shares), index) in rows {
                    total.add(&shares);
                    tokens += all[index].len();
                    windows.push(WindowRow {
                        window_index: index as u32,
                        nll_nats: result.nll_nats,
                        n_targets: result.n_targets as u32,
                        reached_sparsity: shares.reached_sparsity(),
                        natural_sparsity: shares.natural_sparsity(),
                        kept_energy: shares.kept_energy_share(),
                    });
                }
            }
            Material::Items(all) => {
                let results = evaluate_items(model, &mut executor, &all[batch.clone()])?;
                for (result, shares) in results.into_iter().zip(executor.take_shares()) {
                    total.add(&shares);
                    tokens += result.n_tokens;
                    items.push(ItemRow {
                        item_index: result.index as u32,
                        correct: result.correct,
                        word_logprob_nats: result.logprob_nats,
                        n_target_tokens: result.n_targets as u32,
                        n_tokens: result.n_tokens as u32,
                        reached_sparsity: shares.reached_sparsity(),
                        natural_sparsity: shares.natural_sparsity(),
                        kept_energy: shares.kept_energy_share(),
                    });
                }
            }
        }
        progress(batch.end, tokens);
    }
    let rows = match material {
        Material::Windows { .. } => Rows::Windows(windows),
        Material::Items(_) => Rows::Items(items),
    };
    let seconds = started.elapsed().as_secs_f64();
    Ok(Some(Evaluated { rows, seconds, tokens: tokens as u64, total }))
}

/// One dense pass over a calibration text; `None` if asked to stop on the way.
pub(crate) fn calibrate(
    model: &dyn Model,
    windows: &[Vec<u32>],
    stop: &Stop,
) -> Result<Option<Calibration>, ExecutorError> {
    let mut calibrating = Calibrating::new();
    for window in windows {
        if stop.asked() {
            return Ok(None);
        }
        model.forward(&Batch::new([window.as_slice()]), &mut calibrating)?;
    }
    Ok(Some(calibrating.finish()))
}
