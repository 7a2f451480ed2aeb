//! A file of samples: one line an item, as the harness's `EvaluationTracker.save_results_samples` writes it.
//!
//! Items are not ours to pass on: `doc` is empty, and of each request there is the hash.

use std::collections::BTreeMap;

use anyhow::Result;
use judgement::tasks::Metric;
use serde::Serialize;
use tables::{ChoiceRow, ItemRow, Outcome, outcomes};

use super::line;
use super::recipe::{Answers, OfTask};

/// A log-probability and whether every token was the model's first choice, as text.
type Response = [String; 2];

#[derive(Serialize)]
struct Sample<'a> {
    doc_id: u32,
    doc: BTreeMap<(), ()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    arguments: BTreeMap<String, Argument<'a>>,
    /// One list of answers a request; each was asked once.
    resps: Vec<[Response; 1]>,
    filtered_resps: Vec<Response>,
    filter: &'static str,
    metrics: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    perplexity: Option<f64>,
    acc: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    acc_norm: Option<f64>,
    /// The first 16 hex digits of the SHA-256 over context and continuation, a request each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    request_sha256: Vec<&'a str>,
}

#[derive(Serialize)]
struct Argument<'a> {
    request_sha256: &'a str,
}

/// All lines of a task.
pub(super) fn of(task: &OfTask<'_>) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    match &task.answers {
        Answers::Choices(entry) => {
            let Some((_, rows)) = task.result.choices() else { return Ok(lines) };
            let items = rows.chunk_by(|a, b| a.item_index == b.item_index);
            for (choices, outcome) in items.zip(outcomes(rows)) {
                lines.extend(line(&of_choices(choices, &outcome, entry.metric))?);
            }
        }
        Answers::LastWords => {
            for item in task.result.items() {
                lines.extend(line(&of_last_word(item))?);
            }
        }
    }
    Ok(lines)
}

fn of_choices<'a>(choices: &'a [ChoiceRow], outcome: &Outcome, metric: Metric) -> Sample<'a> {
    let arguments = choices.iter().map(|own| {
        let name = format!("gen_args_{}", own.choice_index);
        (name, Argument { request_sha256: &own.request_sha256 })
    });
    let responses: Vec<Response> =
        choices.iter().map(|own| response(own.logprob_nats, own.is_greedy)).collect();
    let has_norm = metric == Metric::AccNorm;
    Sample {
        doc_id: outcome.item_index,
        doc: BTreeMap::new(),
        target: Some(outcome.gold.to_string()),
        arguments: arguments.collect(),
        resps: responses.iter().cloned().map(|own| [own]).collect(),
        filtered_resps: responses,
        filter: "none",
        metrics: if has_norm { vec!["acc", "acc_norm"] } else { vec!["acc"] },
        perplexity: None,
        acc: number(outcome.acc),
        acc_norm: has_norm.then(|| number(outcome.acc_norm)),
        request_sha256: choices.iter().map(|own| own.request_sha256.as_str()).collect(),
    }
}

/// The harness's `perplexity` of one item is the log-probability of its last word.
fn of_last_word(item: &ItemRow) -> Sample<'_> {
    let own = response(item.word_logprob_nats, item.correct);
    Sample {
        doc_id: item.item_index,
        doc: BTreeMap::new(),
        target: None,
        arguments: BTreeMap::new(),
        resps: vec![[own.clone()]],
        filtered_resps: vec![own],
        filter: "none",
        metrics: vec!["perplexity", "acc"],
        perplexity: Some(item.word_logprob_nats),
        acc: number(item.correct),
        acc_norm: None,
        request_sha256: Vec::new(),
    }
}

fn number(is_right: bool) -> f64 {
    f64::from(u8::from(is_right))
}

/// As Python's `str` writes a float and a truth value.
fn response(logprob_nats: f64, is_greedy: bool) -> Response {
    let greedy = if is_greedy { "True" } else { "False" };
    [format!("{logprob_nats:?}"), greedy.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::response;

    #[test]
    fn responses_are_python_texts() {
        assert_eq!(response(-12.0, false), ["-12.0", "False"]);
        assert_eq!(response(-0.125, true), ["-0.125", "True"]);
    }
}
