//! One recipe over one material, batch by batch.

use std::{ops::Range, time::Instant};

use cuts::Storage;
use evaluation::{evaluate_items, evaluate_windows};
use models::{ExecutorError, Model};
use skips::{Shares, steps::Running};
use tables::{BlockRow, ChannelRow, DirectionRow, ItemRow, Left, NeuronRow, OverlapRow, WindowRow};

use crate::{
    material::Material,
    parallel::in_order,
    recipe::{Effort, Shown},
    stop::Stop,
};

/// Rows of one cell.
#[derive(Debug)]
pub(crate) enum Rows {
    Windows(Vec<WindowRow>),
    Items(Vec<ItemRow>),
    Neurons(Vec<NeuronRow>),
    Channels(Vec<ChannelRow>),
    Overlaps(Vec<OverlapRow>),
    Blocks(Vec<BlockRow>),
    Directions(Vec<DirectionRow>),
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
    /// What cuts and calibration took before.
    pub(crate) effort: Effort,
    /// What is stored of the model.
    pub(crate) left: Left,
    /// What could be measured of what was dropped.
    pub(crate) shown: Shown,
}

/// What is run.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// The model, cut.
    pub(crate) model: &'a dyn Model,
    /// What is skipped on it.
    pub(crate) executor: &'a dyn Running,
    /// The dense model, where predictions are compared with its own.
    pub(crate) reference: Option<&'a dyn Model>,
    /// What can be measured of what is dropped.
    pub(crate) shown: Shown,
}

impl Evaluated {
    /// What was measured of the dense model, on text of so many units and tokens.
    pub(crate) fn observed(
        model: &dyn Model,
        rows: Rows,
        started: Instant,
        (units, tokens): (usize, u64),
    ) -> Self {
        Self {
            rows,
            seconds: started.elapsed().as_secs_f64(),
            tokens,
            units,
            total: Shares::default(),
            effort: Effort::default(),
            left: left(&Storage::of(model)),
            shown: Shown::default(),
        }
    }

    /// Tokens of a window or item, on average.
    pub(crate) fn mean_length(&self) -> usize {
        (self.tokens as usize).checked_div(self.units).unwrap_or(0)
    }

    pub(crate) fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }
}

/// What is stored of a model.
pub(crate) fn left(storage: &Storage) -> Left {
    Left { stored_bytes: storage.bytes(), parameters: storage.parameters() }
}

/// Runs every batch, each with an executor of its own; `None` if asked to stop on the way.
///
/// `progress` is told of windows or items and of tokens done.
pub(crate) fn evaluate(
    subject: Subject<'_>,
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
        |units| batch_rows(subject, material, units.clone()),
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
            _ => unreachable!("a batch gives windows or items"),
        }
    }
    let rows = match material {
        Material::Windows { .. } => Rows::Windows(windows),
        Material::Items(_) => Rows::Items(items),
    };
    let seconds = started.elapsed().as_secs_f64();
    let (tokens, units) = (material.n_tokens() as u64, material.len());
    Ok(Some(Evaluated {
        rows,
        seconds,
        tokens,
        units,
        total,
        effort: Effort::default(),
        left: Left::default(),
        shown: subject.shown,
    }))
}

/// Rows of one batch, and the shares of its sequences together.
fn batch_rows(
    subject: Subject<'_>,
    material: &Material,
    units: Range<usize>,
) -> Result<(Rows, Shares), ExecutorError> {
    let Subject { model, reference, shown, .. } = subject;
    let mut executor = subject.executor.fresh();
    let executor = executor.as_mut();
    let (rows, shares) = match material {
        Material::Windows { windows, .. } => {
            let ids: Vec<&[u32]> = windows[units.clone()].iter().map(Vec::as_slice).collect();
            let results = evaluate_windows(model, executor, &ids, reference)?;
            let shares = shares_of(executor, results.len());
            let rows = units.zip(results).zip(&shares).map(|((index, result), shares)| WindowRow {
                window_index: index as u32,
                nll_nats: result.nll_nats,
                n_targets: result.n_targets as u32,
                js_nats: result.js_nats,
                reached_sparsity: shown.dropped.unwrap_or_else(|| shares.reached_sparsity()),
                natural_sparsity: shown.zeros().then(|| shares.natural_sparsity()),
                kept_energy: shown.energy().then(|| shares.kept_energy_share()),
            });
            (Rows::Windows(rows.collect()), shares)
        }
        Material::Items(items) => {
            let results = evaluate_items(model, executor, &items[units])?;
            let shares = shares_of(executor, results.len());
            let rows = results.into_iter().zip(&shares).map(|(result, shares)| ItemRow {
                item_index: result.index as u32,
                correct: result.correct,
                word_logprob_nats: result.logprob_nats,
                n_target_tokens: result.n_targets as u32,
                n_tokens: result.n_tokens as u32,
                distance_sentences: result.distance_sentences,
                reached_sparsity: shown.dropped.unwrap_or_else(|| shares.reached_sparsity()),
                natural_sparsity: shown.zeros().then(|| shares.natural_sparsity()),
                kept_energy: shown.energy().then(|| shares.kept_energy_share()),
            });
            (Rows::Items(rows.collect()), shares)
        }
    };
    let mut total = Shares::default();
    shares.iter().for_each(|shares| total.add(shares));
    Ok((rows, total))
}

/// The shares of each sequence of a batch; a model without feed-forward blocks shows none.
fn shares_of(executor: &mut dyn Running, sequences: usize) -> Vec<Shares> {
    let mut shares = executor.take_shares();
    shares.resize(sequences, Shares::default());
    shares
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use models::{Device, load};
    use skips::{Selection, Skipping};

    use super::*;

    /// Nothing of it is pruned, but its windows are rows like those of any other model.
    #[test]
    fn a_model_without_feed_forward_blocks_has_rows() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden/mamba2");
        let model = load(&golden, &Device::flex()).unwrap().model;
        let windows = vec![vec![1, 2, 3, 4], vec![5, 6, 7, 8]];
        let material = Material::Windows { windows, n_ids: 8 };
        let stop = Stop::default();
        let executor = Skipping::new(Selection::All, 0);
        let subject = Subject {
            model: model.as_ref(),
            executor: &executor,
            reference: None,
            shown: Shown::default(),
        };
        let evaluated = evaluate(subject, &material, &stop, |_, _| {}).unwrap().unwrap();
        let Rows::Windows(rows) = evaluated.rows else { panic!("windows give windows") };
        assert_eq!(rows.len(), 2);
        assert!(rows.iter().all(|row| row.reached_sparsity == 0.0 && row.nll_nats > 0.0));
    }
}
