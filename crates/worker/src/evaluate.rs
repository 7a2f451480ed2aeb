//! One treatment over one material, batch by batch.

use std::{ops::Range, time::Instant};

use evaluation::{evaluate_items, evaluate_windows};
use models::{ExecutorError, Model};
use pruning::{Measuring, Shares, Skipping, StateScanning};
use tables::{ChannelRow, ItemRow, NeuronRow, OverlapRow, WindowRow};

use crate::{material::Material, parallel::in_order, stop::Stop, treatment::Chosen};

/// Rows of one cell.
#[derive(Debug)]
pub(crate) enum Rows {
    Windows(Vec<WindowRow>),
    Items(Vec<ItemRow>),
    Neurons(Vec<NeuronRow>),
    Channels(Vec<ChannelRow>),
    Overlaps(Vec<OverlapRow>),
}

/// What a cell came to.
#[derive(Debug)]
pub(crate) struct Evaluated {
    pub(crate) rows: Rows,
    pub(crate) seconds: f64,
    pub(crate) tokens: u64,
    /// Windows or items that they were read in.
    pub(crate) units: usize,
    /// Shares of all sequences together.
    pub(crate) total: Shares,
}

impl Evaluated {
    /// Tokens of a window or item, on average.
    pub(crate) fn mean_length(&self) -> usize {
        (self.tokens as usize).checked_div(self.units).unwrap_or(0)
    }

    pub(crate) fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }
}

/// Runs every batch; `None` if asked to stop on the way.
///
/// `progress` is told of windows or items and of tokens done.
pub(crate) fn evaluate(
    model: &dyn Model,
    chosen: Chosen,
    material: &Material,
    stop: &Stop,
    progress: impl FnMut(usize, usize),
) -> Result<Option<Evaluated>, ExecutorError> {
    match chosen {
        Chosen::Neurons(selection) => {
            run(model, &Skipping::new(selection, model.ffns().len()), material, stop, progress)
        }
        Chosen::Channels(selection) => {
            let executor = StateScanning::new(selection, model.mixers().len());
            run(model, &executor, material, stop, progress)
        }
    }
}

/// The same with a clone of `executor` for each batch.
fn run(
    model: &dyn Model,
    executor: &(impl Measuring + Clone + Sync),
    material: &Material,
    stop: &Stop,
    mut progress: impl FnMut(usize, usize),
) -> Result<Option<Evaluated>, ExecutorError> {
    let started = Instant::now();
    let batches = material.batches();
    let (mut units_done, mut tokens) = (0, 0);
    let done = in_order(
        &batches,
        stop,
        |units| batch_rows(model, executor.clone(), material, units.clone()),
        |units| {
            units_done += units.len();
            tokens += units.clone().map(|unit| material.tokens_of(unit)).sum::<usize>();
            progress(units_done, tokens);
        },
    )?;
    let Some(done) = done else { return Ok(None) };
    let (mut windows, mut items, mut total) = (Vec::new(), Vec::new(), Shares::default());
    for (rows, shares) in done {
        total.add(&shares);
        match rows {
            Rows::Windows(rows) => windows.extend(rows),
            Rows::Items(rows) => items.extend(rows),
            Rows::Neurons(_) | Rows::Channels(_) | Rows::Overlaps(_) => {
                unreachable!("a batch gives windows or items")
            }
        }
    }
    let rows = match material {
        Material::Windows { .. } => Rows::Windows(windows),
        Material::Items(_) => Rows::Items(items),
    };
    let seconds = started.elapsed().as_secs_f64();
    let (tokens, units) = (material.n_tokens() as u64, material.len());
    Ok(Some(Evaluated { rows, seconds, tokens, units, total }))
}

/// Rows of one batch, and the shares of its sequences together.
fn batch_rows(
    model: &dyn Model,
    mut executor: impl Measuring,
    material: &Material,
    units: Range<usize>,
) -> Result<(Rows, Shares), ExecutorError> {
    let (rows, shares) = match material {
        Material::Windows { windows, .. } => {
            let ids: Vec<&[u32]> = windows[units.clone()].iter().map(Vec::as_slice).collect();
            let results = evaluate_windows(model, &mut executor, &ids)?;
            let shares = shares_of(&mut executor, results.len());
            let rows = units.zip(results).zip(&shares).map(|((index, result), shares)| WindowRow {
                window_index: index as u32,
                nll_nats: result.nll_nats,
                n_targets: result.n_targets as u32,
                reached_sparsity: shares.reached_sparsity(),
                natural_sparsity: shares.natural_sparsity(),
                kept_energy: shares.kept_energy_share(),
            });
            (Rows::Windows(rows.collect()), shares)
        }
        Material::Items(items) => {
            let results = evaluate_items(model, &mut executor, &items[units])?;
            let shares = shares_of(&mut executor, results.len());
            let rows = results.into_iter().zip(&shares).map(|(result, shares)| ItemRow {
                item_index: result.index as u32,
                correct: result.correct,
                word_logprob_nats: result.logprob_nats,
                n_target_tokens: result.n_targets as u32,
                n_tokens: result.n_tokens as u32,
                distance_sentences: result.distance_sentences,
                reached_sparsity: shares.reached_sparsity(),
                natural_sparsity: shares.natural_sparsity(),
                kept_energy: shares.kept_energy_share(),
            });
            (Rows::Items(rows.collect()), shares)
        }
    };
    let mut total = Shares::default();
    shares.iter().for_each(|shares| total.add(shares));
    Ok((rows, total))
}

/// The shares of each sequence of a batch; a model without feed-forward blocks shows none.
fn shares_of(executor: &mut impl Measuring, sequences: usize) -> Vec<Shares> {
    let mut shares = executor.take_shares();
    shares.resize(sequences, Shares::default());
    shares
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use models::{Device, load};
    use pruning::Selection;

    use super::*;

    /// Nothing of it is pruned, but its windows are rows like those of any other model.
    #[test]
    fn a_model_without_feed_forward_blocks_has_rows() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden/mamba2");
        let model = load(&golden, &Device::flex()).unwrap().model;
        let windows = vec![vec![1, 2, 3, 4], vec![5, 6, 7, 8]];
        let material = Material::Windows { windows, n_ids: 8 };
        let stop = Stop::default();
        let evaluated =
            evaluate(model.as_ref(), Chosen::Neurons(Selection::All), &material, &stop, |_, _| {})
                .unwrap()
                .unwrap();
        let Rows::Windows(rows) = evaluated.rows else { panic!("windows give windows") };
        assert_eq!(rows.len(), 2);
        assert!(rows.iter().all(|row| row.reached_sparsity == 0.0 && row.nll_nats > 0.0));
    }
}
