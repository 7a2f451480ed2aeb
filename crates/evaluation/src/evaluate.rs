//! The results of requests.

use std::ops::Range;

use corpora::{Item, Request};
use models::{
    Batch, Dense, Executor, ExecutorError, Model, Tensor, divergence_by_sequence, predictions,
};

use crate::passes::{Passes, Plan, split};

/// What came of one request.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestResult {
    /// Σ log-probability of the targets, nats.
    pub logprob_nats: f64,
    /// Ids that were predicted.
    pub n_targets: usize,
    /// Ids that stand in front of the last prediction: what the request alone would read.
    pub n_read: usize,
    /// Largest −ln p of a single target, nats.
    pub worst_nll_nats: f64,
    /// Targets less likely than by an even guess over the vocabulary.
    pub n_worse_than_chance: usize,
    /// Whether every target is the model's first choice, teacher-forced.
    pub is_greedy: bool,
    /// Jensen–Shannon divergence to the predictions of another model, nats, mean over the targets; none
    /// where there is no other.
    pub js_nats: Option<f64>,
    /// The sequences that it came of, counted over all that the executor ran: what it measured of them
    /// belongs to the request.
    pub sequences: Vec<usize>,
    /// The most that the cache of keys and values held after a token, in bytes, where there was one.
    pub cache_peak_bytes: Option<u64>,
}

/// The requests of one batch of items, in order. Only rows that predict a target are multiplied with the
/// head. Where a `reference` is given, it is run too, dense, and the predictions of both are compared.
///
/// # Errors
/// What the model or the executor refuses, and a model that overflows.
pub fn evaluate(
    model: &dyn Model,
    executor: &mut dyn Executor,
    items: &[Item],
    passes: Passes,
    reference: Option<&dyn Model>,
) -> Result<Vec<RequestResult>, ExecutorError> {
    let plans: Vec<Plan<'_>> = items.iter().map(|item| Plan::of(item, passes)).collect();
    let mut results = Vec::new();
    let decodes = passes == Passes::TokenByToken;
    let mut n_sequences = 0;
    // Neighbours whose sequences are read whole are one batch; a shared beginning is by itself.
    let both: Vec<(&Item, &Plan<'_>)> = items.iter().zip(&plans).collect();
    for run in both.chunk_by(|a, b| a.1.beginning.is_empty() && b.1.beginning.is_empty()) {
        match run {
            [(item, plan)] if !plan.beginning.is_empty() => {
                results.extend(branched(model, executor, item, plan, n_sequences)?);
                n_sequences += 1 + plan.sequences.iter().filter(|own| !own.is_empty()).count();
            }
            _ => {
                let run = Run { items: run, decodes };
                results.extend(whole(model, executor, &run, reference, n_sequences)?);
                n_sequences += run.runs().sum::<usize>();
            }
        }
    }
    Ok(results)
}

/// Neighbours whose sequences are all read from their first id.
struct Run<'a> {
    items: &'a [(&'a Item, &'a Plan<'a>)],
    /// Whether every token is a pass of its own.
    decodes: bool,
}

impl Run<'_> {
    fn sequences(&self) -> impl Iterator<Item = &[u32]> {
        self.items.iter().flat_map(|(_, plan)| plan.sequences.iter().copied())
    }

    /// How many sequences the executor sees of each.
    fn runs(&self) -> impl Iterator<Item = usize> {
        self.sequences().map(|own| if self.decodes { own.len() } else { 1 })
    }
}

/// What a model gives token by token, and the most bytes that each sequence cached.
fn decoded(
    model: &dyn Model,
    executor: &mut dyn Executor,
    sequences: &[&[u32]],
) -> Result<(Tensor<2>, Vec<u64>), ExecutorError> {
    let (mut rows, mut peaks) = (Vec::new(), Vec::new());
    for ids in sequences {
        let (mut cache, mut peak) = (model.new_cache(), 0);
        for id in *ids {
            rows.push(model.extend(&[*id], &mut cache, executor)?);
            peak = peak.max(cache.kv_bytes());
        }
        peaks.push(peak);
    }
    Ok((Tensor::cat(rows, 0), peaks))
}

fn whole(
    model: &dyn Model,
    executor: &mut dyn Executor,
    run: &Run<'_>,
    reference: Option<&dyn Model>,
    first_sequence: usize,
) -> Result<Vec<RequestResult>, ExecutorError> {
    let items = run.items;
    let sequences: Vec<&[u32]> = run.sequences().collect();
    let batch = Batch::new(sequences.iter().copied());
    let (hidden, peaks) = match run.decodes {
        true => decoded(model, executor, &sequences)?,
        false => (model.forward(&batch, executor)?, Vec::new()),
    };
    let divergences = match reference {
        Some(reference) => {
            let others = reference.forward(&batch, &mut Dense)?;
            let both = ((model, &hidden), (reference, &others));
            divergence_by_sequence(both.0, both.1, &batch)?.into_iter().map(Some).collect()
        }
        None => vec![None; batch.sequences().count()],
    };
    let rows: Vec<Range<usize>> = batch.sequences().collect();
    let mut seen = first_sequence;
    let seen: Vec<Range<usize>> = run
        .runs()
        .map(|n| {
            seen += n;
            seen - n..seen
        })
        .collect();
    let mut results = Vec::new();
    let mut first = 0;
    for (item, plan) in items {
        let of_request = |(request, own): (&Request, &usize)| {
            let start = rows[first + own].start + request.rows().start;
            Asked {
                hidden: hidden.clone().narrow(0, start, request.targets().len()),
                sequences: seen[first + own].clone().collect(),
                js_nats: divergences[first + own],
                cache_peak_bytes: peaks.get(first + own).copied(),
            }
        };
        let asked = item.requests.iter().zip(&plan.of_request).map(of_request).collect();
        results.extend(answers(model, item, asked)?);
        first += plan.sequences.len();
    }
    Ok(results)
}

/// One item whose requests begin alike.
fn branched(
    model: &dyn Model,
    executor: &mut dyn Executor,
    item: &Item,
    plan: &Plan<'_>,
    first_sequence: usize,
) -> Result<Vec<RequestResult>, ExecutorError> {
    let (rows, border) = (0, plan.beginning.len());
    let mut cache = model.new_cache();
    let beginning = model.extend(plan.beginning, &mut cache, executor)?;
    // A request may end with the beginning; then it has no branch.
    let lengths: Vec<usize> = plan.sequences.iter().map(|own| own.len()).collect();
    let behind = match lengths.iter().any(|length| *length > 0) {
        true => Some(model.branch(&plan.sequences, &cache, executor)?),
        false => None,
    };
    let of_request = |(request, &own): (&Request, &usize)| {
        let [in_beginning, in_branch] = split(request.rows(), border);
        let start: usize = lengths[..own].iter().sum::<usize>() + in_branch.start;
        let parts = [
            (Some(&beginning), in_beginning.start, in_beginning.len()),
            (behind.as_ref(), start, in_branch.len()),
        ];
        let parts = parts.into_iter().filter(|(_, _, n)| *n > 0);
        let parts =
            parts.filter_map(|(hidden, start, n)| Some(hidden?.clone().narrow(rows, start, n)));
        let mut sequences = vec![first_sequence];
        if lengths[own] > 0 {
            let before = lengths[..own].iter().filter(|length| **length > 0).count();
            sequences.push(first_sequence + 1 + before);
        }
        let hidden = Tensor::cat(parts.collect(), rows);
        Asked { hidden, sequences, js_nats: None, cache_peak_bytes: None }
    };
    answers(model, item, item.requests.iter().zip(&plan.of_request).map(of_request).collect())
}

/// What a model has come to for a request.
struct Asked {
    /// The rows that predict its targets: `[targets, d_model]`.
    hidden: Tensor<2>,
    sequences: Vec<usize>,
    js_nats: Option<f64>,
    cache_peak_bytes: Option<u64>,
}

/// The predictions of an item, all of them from one product with the head.
fn answers(
    model: &dyn Model,
    item: &Item,
    asked: Vec<Asked>,
) -> Result<Vec<RequestResult>, ExecutorError> {
    let targets: Vec<u32> = item.requests.iter().flat_map(Request::targets).copied().collect();
    let hidden: Vec<Tensor<2>> = asked.iter().map(|asked| asked.hidden.clone()).collect();
    let predictions = predictions(model, Tensor::cat(hidden, 0), &targets)?;
    let chance = -(model.facts().vocabulary as f64).ln();
    let mut rest = predictions.as_slice();
    let of_request = |(request, asked): (&Request, Asked)| {
        let own;
        (own, rest) = rest.split_at(request.targets().len());
        RequestResult {
            logprob_nats: own.iter().map(|p| p.logprob).sum(),
            n_targets: own.len(),
            n_read: request.read().len(),
            worst_nll_nats: own.iter().map(|p| -p.logprob).fold(0.0, f64::max),
            n_worse_than_chance: own.iter().filter(|p| p.logprob < chance).count(),
            is_greedy: own.iter().all(|p| p.is_argmax),
            js_nats: asked.js_nats,
            sequences: asked.sequences,
            cache_peak_bytes: asked.cache_peak_bytes,
        }
    };
    Ok(item.requests.iter().zip(asked).map(of_request).collect())
}
