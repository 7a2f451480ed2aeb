//! One recipe over one material, batch by batch.

use std::time::Instant;

use corpora::Item;
use cuts::Storage;
use evaluation::{Passes, RequestResult};
use models::{ExecutorError, Model};
use plan::Measure;
use skips::{Shares, steps::Running};
use tables::{
    AttentionRow, BlockRow, ChannelRow, ChoiceRow, DirectionRow, ItemRow, Left, LensRow, NeuronRow,
    OverlapRow, TaskColumns, WindowRow,
};

use crate::{
    material::Material,
    parallel::in_order,
    recipe::{Effort, Shown},
    rows::rows,
    stop::Stop,
};

/// Rows of one cell.
#[derive(Debug)]
pub(crate) enum Rows {
    Windows(Vec<WindowRow>),
    Items(Vec<ItemRow>),
    Choices(TaskColumns, Vec<ChoiceRow>),
    Neurons(Vec<NeuronRow>),
    Channels(Vec<ChannelRow>),
    Overlaps(Vec<OverlapRow>),
    Blocks(Vec<BlockRow>),
    Directions(Vec<DirectionRow>),
    Attention(Vec<AttentionRow>),
    Lens(Vec<LensRow>),
}

/// What a cell came to.
#[derive(Debug)]
pub(crate) struct Evaluated {
    pub(crate) rows: Rows,
    pub(crate) seconds: f64,
    pub(crate) tokens: u64,
    /// Tokens in front of the last prediction of a window, item or choice, on average.
    pub(crate) mean_length: usize,
    /// Shares of all sequences together.
    pub(crate) total: Shares,
    /// The most that was cached of keys and values after a token, where the text was run token by token.
    pub(crate) cache_peak_bytes: Option<u64>,
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
    /// Whether every token is a pass of its own.
    pub(crate) decodes: bool,
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
            mean_length: (tokens as usize).checked_div(units).unwrap_or(0),
            total: Shares::default(),
            cache_peak_bytes: None,
            effort: Effort::default(),
            left: left(&Storage::of(model)),
            shown: Shown::default(),
        }
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
    let passes = passes(subject, material);
    let batches = material.batches(passes);
    let (mut units_done, mut tokens) = (0, 0);
    let done = in_order(
        &batches,
        stop,
        |units| batch_results(subject, &material.items[units.clone()], passes),
        |units| {
            units_done += units.len();
            tokens += units.clone().map(|unit| material.tokens_of(unit, passes)).sum::<usize>();
            progress(units_done, tokens);
        },
    )?;
    let Some(done) = done else { return Ok(None) };
    let (mut results, mut total) = (Vec::new(), Shares::default());
    for (own, shares) in done {
        total.add(&shares);
        results.extend(own);
    }
    let measured = results.iter().filter_map(|(own, _)| own.cache_peak_bytes).max();
    let seconds = started.elapsed().as_secs_f64();
    let tokens = material.n_tokens(passes) as u64;
    Ok(Some(Evaluated {
        rows: rows(material, &results, subject.shown),
        seconds,
        tokens,
        mean_length: material.mean_length(),
        total,
        cache_peak_bytes: measured,
        effort: Effort::default(),
        left: Left::default(),
        shown: subject.shown,
    }))
}

/// What items begin with is read once where nothing hangs on the rest of the sequence; two models side by
/// side are run on whole sequences.
fn passes(subject: Subject<'_>, material: &Material) -> Passes {
    if subject.decodes {
        return Passes::TokenByToken;
    }
    let may_share = material.measure == Measure::Choice
        && subject.reference.is_none()
        && subject.executor.takes_pieces();
    if may_share { Passes::SharedBeginning } else { Passes::Whole }
}

/// The results of one batch, each with its shares, and the shares of all its sequences together.
fn batch_results(
    subject: Subject<'_>,
    items: &[Item],
    passes: Passes,
) -> Result<(Vec<(RequestResult, Shares)>, Shares), ExecutorError> {
    let mut executor = subject.executor.fresh();
    let executor = executor.as_mut();
    let results = evaluation::evaluate(subject.model, executor, items, passes, subject.reference)?;
    // A model without feed-forward blocks shows none.
    let sequences = executor.take_shares();
    let of_result = |result: RequestResult| {
        let mut shares = Shares::default();
        let own = result.sequences.iter().filter_map(|sequence| sequences.get(*sequence));
        own.for_each(|own| shares.add(own));
        (result, shares)
    };
    let results = results.into_iter().map(of_result).collect();
    let mut total = Shares::default();
    sequences.iter().for_each(|shares| total.add(shares));
    Ok((results, total))
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
        let material = Material::windows(windows);
        let stop = Stop::default();
        let executor = Skipping::new(Selection::All, 0);
        let subject = Subject {
            model: model.as_ref(),
            executor: &executor,
            reference: None,
            shown: Shown::default(),
            decodes: false,
        };
        let evaluated = evaluate(subject, &material, &stop, |_, _| {}).unwrap().unwrap();
        let Rows::Windows(rows) = evaluated.rows else { panic!("windows give windows") };
        assert_eq!(rows.len(), 2);
        assert!(rows.iter().all(|row| row.shares.reached_sparsity == 0.0 && row.nll_nats > 0.0));
    }
}
