//! `worker cell`: one cell by hand, without a pipeline or a results folder.

use std::{io::Write as _, path::Path};

use anyhow::Context as _;
use plan::{CellRequest, OrderedCell};
use serde::Serialize;
use tables::{Store, TokenColumns};

use crate::{
    Outcome,
    evaluate::{Evaluated, Rows},
    fail::Fail,
    run::Inputs,
    runner::{Kept, Runner},
    stop::Stop,
    subject, system,
};

/// What is printed with `--json`.
#[derive(Debug, Default, Serialize)]
struct Answer {
    model: String,
    dataset: String,
    protocol: String,
    recipe: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    perplexity: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nll_nats: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n_windows: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n_targets: Option<u64>,
    /// Ids of the whole text, of which the windows are the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    n_ids: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n_correct: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n_items: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    word_perplexity: Option<f64>,
    /// Share of items whose likeliest choice is the right one.
    #[serde(skip_serializing_if = "Option::is_none")]
    acc: Option<f64>,
    /// The same by the length of the choices in characters, where the task has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    acc_norm: Option<f64>,
    /// Jensen-Shannon divergence to the dense model, mean over all targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    js_nats: Option<f64>,
    reached_sparsity: Option<f64>,
    /// Not known where units were cut: what was dropped is not computed.
    natural_sparsity: Option<f64>,
    kept_energy: Option<f64>,
    /// Mean layers after which a token is predicted, where tokens may leave before the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    layers_per_token: Option<f64>,
    /// Largest negative log-likelihood of a single target, nats.
    worst_nll_nats: f64,
    /// Targets that an even guess over the vocabulary would have cost less.
    n_worse_than_chance: u64,
    /// Keys and values cached after the last token of the longest sequence, where positions are skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_bytes: Option<u64>,
    /// The same after whichever token it is largest.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_peak_bytes: Option<u64>,
    /// The same where nothing is skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_dense_bytes: Option<u64>,
    /// What really was the most in the cache after a token, where the text was run token by token.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_peak_bytes_measured: Option<u64>,
    stored_bytes: u64,
    parameters_left: u64,
    tokens: u64,
    /// Of cuts and calibration, before the evaluation.
    cut_seconds: f64,
    /// Largest resident memory until the cuts were done.
    cut_peak_rss_bytes: u64,
    seconds: f64,
    tokens_per_second: f64,
    peak_rss_bytes: u64,
}

/// Runs the cell of a request file and prints what came out.
pub(crate) fn cell(request: &Path) -> Outcome {
    let text = std::fs::read_to_string(request)
        .with_context(|| format!("cannot read the request {}", request.display()))
        .map_err(Fail::Usage)?;
    let request: CellRequest =
        serde_json::from_str(&text).context("not a request").map_err(Fail::Usage)?;
    if request.recipe.observation().is_some() {
        let message = "what is observed is a table: order it with a pipeline";
        return Err(Fail::Usage(anyhow::anyhow!(message)));
    }
    let stop = Stop::listen(false).map_err(Fail::Usage)?;
    let answer = run(&request, &stop)?;
    print(&request, &answer).map_err(Fail::Usage)?;
    Ok(plan::exit::DONE)
}

/// The way of a grid: a work order of one cell, its scores in a folder that is gone afterwards.
fn run(request: &CellRequest, stop: &Stop) -> Result<Answer, Fail> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder");
    let folder = folder.map_err(Fail::Results)?;
    let order = request.order(folder.path().to_owned());
    let ordered: &OrderedCell = &order.cells[0];
    let device = subject::device(order.device).map_err(Fail::Usage)?;
    let inputs = Inputs::read(&order, &[ordered])?;
    let material = inputs.material(&ordered.cell).map_err(Fail::input)?;
    let store = Store::open(&order.results).map_err(|e| Fail::Results(e.into()))?;
    let input = &order.models[0];
    let model = subject::model(&input.path, &device, input.time_steps).map_err(Fail::input)?.model;
    let mut runner = Runner {
        order: &order,
        inputs: &inputs,
        store: &store,
        stop,
        input,
        device: &device,
        model: Some(model),
        has_one_cell: true,
        decodes: request.decode,
        tells: false,
    };
    let evaluated = runner.cell(ordered, &mut Kept::default()).map_err(Fail::Cell)?;
    let mut answer = answer(request, &evaluated.ok_or(Fail::Stopped)?);
    answer.n_ids = material.n_ids;
    Ok(answer)
}

fn answer(request: &CellRequest, evaluated: &Evaluated) -> Answer {
    let mut answer = Answer {
        model: request.model.display().to_string(),
        dataset: request.dataset.display().to_string(),
        protocol: request.protocol.to_string(),
        recipe: request.recipe.text(),
        stored_bytes: evaluated.left.stored_bytes,
        parameters_left: evaluated.left.parameters,
        tokens: evaluated.tokens,
        cut_seconds: evaluated.effort.seconds,
        cut_peak_rss_bytes: evaluated.effort.peak_rss_bytes,
        seconds: evaluated.seconds,
        tokens_per_second: evaluated.tokens_per_second(),
        peak_rss_bytes: system::peak_rss_bytes(),
        ..Answer::default()
    };
    let shares = &evaluated.total;
    let shown = evaluated.shown;
    answer.reached_sparsity = Some(shown.dropped.unwrap_or_else(|| shares.reached_sparsity()));
    answer.natural_sparsity = shown.zeros().then(|| shares.natural_sparsity());
    answer.kept_energy = shown.energy().then(|| shares.kept_energy_share());
    answer.layers_per_token = shares.layers_per_token();
    let tokens = tokens(&evaluated.rows);
    answer.worst_nll_nats = tokens.iter().map(|own| own.worst_nll_nats).fold(0.0, f64::max);
    answer.n_worse_than_chance = tokens.iter().map(|own| u64::from(own.n_worse_than_chance)).sum();
    answer.cache_bytes = shares.cache.map(|own| own.left);
    answer.cache_peak_bytes = shares.cache.map(|own| own.peak);
    answer.cache_peak_bytes_measured = evaluated.cache_peak_bytes;
    answer.cache_dense_bytes = shares.cache.map(|own| own.dense);
    match &evaluated.rows {
        Rows::Windows(rows) => {
            let nll: f64 = rows.iter().map(|row| row.nll_nats).sum();
            let n_targets: u64 = rows.iter().map(|row| u64::from(row.n_targets)).sum();
            answer.perplexity = finite("perplexity", (nll / n_targets as f64).exp());
            answer.nll_nats = Some(nll);
            answer.n_windows = Some(rows.len());
            answer.n_targets = Some(n_targets);
            let weighted = |row: &tables::WindowRow| Some(row.js_nats? * f64::from(row.n_targets));
            let sum: Option<f64> = rows.iter().map(weighted).sum();
            answer.js_nats = sum.map(|sum| sum / n_targets as f64);
        }
        Rows::Items(rows) => {
            let n_correct = rows.iter().filter(|row| row.correct).count();
            let logprob: f64 = rows.iter().map(|row| row.word_logprob_nats).sum();
            answer.accuracy = Some(n_correct as f64 / rows.len() as f64);
            answer.n_correct = Some(n_correct);
            answer.n_items = Some(rows.len());
            answer.word_perplexity =
                finite("word_perplexity", (-logprob / rows.len() as f64).exp());
        }
        Rows::Choices(task, rows) => {
            let outcomes = tables::outcomes(rows);
            let share = |is_right: fn(&tables::Outcome) -> bool| {
                outcomes.iter().filter(|own| is_right(own)).count() as f64 / outcomes.len() as f64
            };
            answer.acc = Some(share(|own| own.acc));
            answer.acc_norm = task.is_normalised.then(|| share(|own| own.acc_norm));
            answer.n_items = Some(outcomes.len());
        }
        _ => unreachable!("an evaluation gives windows, items or choices"),
    }
    answer
}

/// What single tokens cost, one entry a row.
fn tokens(rows: &Rows) -> Vec<TokenColumns> {
    match rows {
        Rows::Windows(rows) => rows.iter().map(|row| row.tokens).collect(),
        Rows::Items(rows) => rows.iter().map(|row| row.tokens).collect(),
        Rows::Choices(_, rows) => rows.iter().map(|row| row.tokens).collect(),
        _ => Vec::new(),
    }
}

/// A number that can be written down; one that cannot is left out, and that is said.
fn finite(name: &str, value: f64) -> Option<f64> {
    if value.is_finite() {
        return Some(value);
    }
    tracing::warn!("{name} is left out: it is larger than the largest number");
    None
}

fn print(request: &CellRequest, answer: &Answer) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let answer = serde_json::to_value(answer)?;
    if request.json {
        writeln!(out, "{answer}")?;
        return Ok(());
    }
    for (name, value) in answer.as_object().into_iter().flatten() {
        match value {
            serde_json::Value::String(text) => writeln!(out, "{name:>18}  {text}")?,
            value => writeln!(out, "{name:>18}  {value}")?,
        }
    }
    Ok(())
}
