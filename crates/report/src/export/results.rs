//! A results file: what the harness's `EvaluationTracker.save_results_aggregated` writes.

use std::collections::BTreeMap;

use judgement::tasks::{Metric, TaskEntry, WithStderr};
use serde::Serialize;
use serde_json::{Map, Value, json};
use statistics::{Proportion, proportion_stderr, word_perplexity};

use super::recipe::{Answers, OfRecipe, OfTask};

/// Whose form it is.
const HARNESS: &str = "0.4.13";
/// What stands where the harness has no number.
const NONE: &str = "N/A";

/// The file, in the harness's order.
#[derive(Serialize)]
pub(super) struct Results {
    results: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    groups: BTreeMap<String, Value>,
    group_subtasks: BTreeMap<String, Vec<String>>,
    configs: BTreeMap<String, Value>,
    versions: BTreeMap<String, Value>,
    #[serde(rename = "n-shot")]
    n_shot: BTreeMap<String, u32>,
    higher_is_better: BTreeMap<String, Value>,
    #[serde(rename = "n-samples")]
    n_samples: BTreeMap<String, Value>,
    config: Value,
    git_hash: String,
    /// Seconds since 1970.
    date: f64,
    lm_eval_version: &'static str,
    /// Of samples that have hashes; ours have those of their requests.
    task_hashes: Map<String, Value>,
    model_source: &'static str,
    model_name: String,
    model_name_sanitized: String,
    system_instruction: Option<String>,
    system_instruction_sha: Option<String>,
    fewshot_as_multiturn: bool,
    chat_template: Option<String>,
    chat_template_sha: Option<String>,
    total_evaluation_time_seconds: String,
    /// What the harness has no place for.
    slim: Value,
}

pub(super) fn of(own: &OfRecipe<'_>) -> Results {
    let by_task = |value: fn(&OfTask<'_>) -> Value| -> BTreeMap<String, Value> {
        own.tasks.iter().map(|task| (task.name.clone(), value(task))).collect()
    };
    let groups: BTreeMap<String, Value> =
        own.groups.iter().map(|own| (own.name.clone(), group(&own.name, own.entry))).collect();
    let mut results = by_task(|task| Value::Object(metrics(task)));
    results.extend(groups.clone());
    let mut higher_is_better = by_task(|task| match task.answers {
        Answers::Choices(entry) => is_better(entry),
        Answers::LastWords => json!({ "perplexity": false, "acc": true }),
    });
    higher_is_better.extend(own.groups.iter().map(|own| (own.name.clone(), is_better(own.entry))));
    let names = own.tasks.iter().map(|task| task.name.clone());
    let names = names.chain(own.groups.iter().map(|own| own.name.clone()));
    let seconds: f64 = own.tasks.iter().map(|task| task.result.provenance.seconds).sum();
    Results {
        results,
        groups,
        group_subtasks: own.groups.iter().map(|g| (g.name.clone(), g.members.clone())).collect(),
        configs: by_task(config_of_task),
        versions: by_task(version),
        n_shot: names.map(|name| (name, 0)).collect(),
        higher_is_better,
        // How many items the whole split has is not in the tables: both are those that were asked.
        n_samples: by_task(|task| json!({ "original": n_items(task), "effective": n_items(task) })),
        config: config(own),
        git_hash: own
            .tasks
            .first()
            .map_or_else(String::new, |t| t.result.provenance.revision.clone()),
        date: own.first_started_at_ms() as f64 / 1000.0,
        lm_eval_version: HARNESS,
        task_hashes: Map::new(),
        model_source: "slim",
        model_name: own.model_name(),
        model_name_sanitized: own.folder(),
        system_instruction: None,
        system_instruction_sha: None,
        fewshot_as_multiturn: false,
        chat_template: None,
        chat_template_sha: None,
        total_evaluation_time_seconds: seconds.to_string(),
        slim: about(own),
    }
}

fn n_items(task: &OfTask<'_>) -> u64 {
    match task.answers {
        Answers::Choices(entry) => entry.n_items,
        Answers::LastWords => task.result.items().len() as u64,
    }
}

fn is_better(entry: &TaskEntry) -> Value {
    match entry.metric {
        Metric::Acc => json!({ "acc": true }),
        Metric::AccNorm => json!({ "acc": true, "acc_norm": true }),
    }
}

/// The metrics of a task under the harness's names: `acc,none` and so on.
fn metrics(task: &OfTask<'_>) -> Map<String, Value> {
    let mut own = Map::new();
    own.insert("alias".to_owned(), json!(task.alias));
    own.insert("name".to_owned(), json!(task.name));
    own.insert("sample_len".to_owned(), json!(n_items(task)));
    match task.answers {
        Answers::Choices(entry) => of_entry(&mut own, entry),
        Answers::LastWords => of_last_words(&mut own, task),
    }
    own
}

fn of_entry(own: &mut Map<String, Value>, entry: &TaskEntry) {
    put(own, "acc", entry.acc);
    if entry.metric == Metric::AccNorm {
        put(own, "acc_norm", entry.acc_norm);
    }
}

fn put(own: &mut Map<String, Value>, metric: &str, share: WithStderr) {
    own.insert(format!("{metric},none"), json!(share.value));
    let stderr = share.stderr.map_or_else(|| json!(NONE), |stderr| json!(stderr));
    own.insert(format!("{metric}_stderr,none"), stderr);
}

fn of_last_words(own: &mut Map<String, Value>, task: &OfTask<'_>) {
    let items = task.result.items();
    let logprobs: Vec<f64> = items.iter().map(|item| item.word_logprob_nats).collect();
    let perplexity = word_perplexity(&logprobs).map_or_else(|_| json!(NONE), |own| json!(own));
    own.insert("perplexity,none".to_owned(), perplexity);
    // The harness draws random samples for it.
    own.insert("perplexity_stderr,none".to_owned(), json!(NONE));
    let n_right = items.iter().filter(|item| item.correct).count() as u64;
    if let Ok(right) = Proportion::new(n_right, items.len() as u64) {
        put(own, "acc", WithStderr { value: right.value(), stderr: proportion_stderr(right) });
    }
}

/// What the members of a group come to.
fn group(name: &str, entry: &TaskEntry) -> Value {
    let mut own = Map::new();
    own.insert("alias".to_owned(), json!(name));
    own.insert("name".to_owned(), json!(name));
    own.insert("sample_len".to_owned(), json!(entry.n_items));
    of_entry(&mut own, entry);
    Value::Object(own)
}

fn config_of_task(task: &OfTask<'_>) -> Value {
    let names: &[&str] = match task.answers {
        Answers::Choices(entry) if entry.metric == Metric::AccNorm => &["acc", "acc_norm"],
        Answers::Choices(_) => &["acc"],
        Answers::LastWords => &["perplexity", "acc"],
    };
    let metrics: Vec<Value> = names
        .iter()
        .map(|&name| {
            let is_perplexity = name == "perplexity";
            let aggregation = if is_perplexity { name } else { "mean" };
            json!({ "metric": name, "aggregation": aggregation, "higher_is_better": !is_perplexity })
        })
        .collect();
    let output_type = match task.answers {
        Answers::Choices(_) => "multiple_choice",
        Answers::LastWords => "loglikelihood",
    };
    json!({
        "task": task.name,
        "dataset_path": task.result.cell.dataset,
        "output_type": output_type,
        "num_fewshot": 0,
        "metric_list": metrics,
        "repeats": 1,
        "metadata": { "version": version(task) },
    })
}

/// The version of a task's definition, a number where it is one.
fn version(task: &OfTask<'_>) -> Value {
    let Some((about, _)) = task.result.choices() else { return json!(1.0) };
    let number = about.version.parse::<f64>().ok().filter(|number| number.is_finite());
    number.map_or_else(|| json!(about.version), |number| json!(number))
}

fn config(own: &OfRecipe<'_>) -> Value {
    let first = own.tasks.first().map(|task| task.result);
    let limits = own.tasks.iter().map(|task| task.result.cell.limit);
    let limit = first.and_then(|own| own.cell.limit);
    let is_one = limits.into_iter().all(|own| own == limit);
    json!({
        "model": "slim",
        "model_args": {
            "pretrained": own.model,
            "recipe": own.recipe.text(),
            "dtype": "float32",
        },
        "model_num_parameters": first.map(|own| own.left.parameters),
        "model_dtype": "float32",
        "batch_size": null,
        "batch_sizes": [],
        "device": first.map(|own| own.provenance.device.as_str()),
        "use_cache": null,
        "limit": limit.filter(|_| is_one),
        "bootstrap_iters": 0,
        "gen_kwargs": {},
    })
}

/// Recipe, inputs and cells.
fn about(own: &OfRecipe<'_>) -> Value {
    let cells: BTreeMap<&str, &str> =
        own.tasks.iter().map(|task| (task.name.as_str(), task.result.id.as_str())).collect();
    let texts: BTreeMap<&str, &str> = own
        .tasks
        .iter()
        .map(|task| (task.name.as_str(), task.result.provenance.text_sha256.as_str()))
        .collect();
    let first = own.tasks.first().map(|task| &task.result.provenance);
    json!({
        "recipe": own.recipe.text(),
        "label": own.recipe.label(),
        "seed": own.recipe.seed(),
        "cells": cells,
        "text_sha256": texts,
        "weights_sha256": first.map(|own| own.weights_sha256.as_str()),
        "tokenizer_sha256": first.map(|own| own.tokenizer_sha256.as_str()),
        "code_version": first.map(|own| own.code_version.as_str()),
        "versions": first.map(|own| own.versions.as_str()),
    })
}
