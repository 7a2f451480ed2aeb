//! The requests of this project's tasks against those that lm-evaluation-harness 0.4.13 builds: on
//! made-up items with the traps of each task (`golden/tasks`, by the harness's own code), and, where they
//! are, on all published items, by the hash over every request of a file.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::print_stdout, reason = "what a test saw")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use corpora::{ChoiceTask, Records};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// The folder of the published items.
fn folder() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/tasks");
    std::env::var_os("SLIM_TASKS").map_or(here, PathBuf::from)
}

/// The task of a file: `mmlu_test/anatomy` is `mmlu-anatomy`, `sciq_validation` is `sciq`.
fn task(file: &str) -> ChoiceTask {
    let name = file.replace("mmlu_test/", "mmlu-").replace("_validation", "").replace('_', "-");
    let definition = if name.starts_with("mmlu-") { "mmlu" } else { name.as_str() };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tasks/{definition}.toml"));
    ChoiceTask::read(&path, &name).unwrap()
}

#[derive(Deserialize)]
struct Published {
    items: usize,
    requests: usize,
    sha256: String,
}

/// Over all items of a file: for every request `utf8(context) 00 utf8(continuation) 01`, then
/// `ascii(gold) 02`.
#[test]
fn every_request_of_every_published_item_is_the_harness() {
    let listed = folder().join("requests.json");
    let Ok(text) = std::fs::read_to_string(&listed) else {
        return testing::skip(&format!("{} is not there", listed.display()));
    };
    let published: BTreeMap<String, Published> = serde_json::from_str(&text).unwrap();
    assert!(published.len() >= 15);
    let mut n_requests = 0;
    for (file, expected) in published {
        let records = Records::read(&folder().join(format!("{file}.jsonl"))).unwrap();
        assert_eq!(records.items().len(), expected.items, "{file}");
        let (task, mut hasher, mut requests) = (task(&file), Sha256::new(), 0);
        for item in 0..records.items().len() {
            let question = task.question(&records, item).unwrap();
            for (context, continuation) in question.contexts.iter().zip(&question.continuations) {
                hasher.update(context);
                hasher.update([0]);
                hasher.update(continuation);
                hasher.update([1]);
                requests += 1;
            }
            hasher.update(question.gold.to_string());
            hasher.update([2]);
        }
        assert_eq!(requests, expected.requests, "{file}");
        let found: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, expected.sha256, "{file}");
        n_requests += requests;
    }
    println!("{n_requests} requests");
}

#[derive(Deserialize)]
struct Golden {
    version: f64,
    metrics: Vec<String>,
    items: Vec<GoldenItem>,
}

#[derive(Deserialize)]
struct GoldenItem {
    gold: usize,
    lengths: Vec<usize>,
    requests: Vec<(String, String)>,
}

/// What is refused here on purpose, by task and number of the item: the harness divides by zero there.
const REFUSED: &[(&str, usize, &str)] = &[("hellaswag", 11, "choice 1 is empty")];

/// Two choices of one text: the harness looks the right one up by its text and finds the first; here it
/// is the one that the item says.
const SAME_TEXT: (&str, usize) = ("copa", 6);

#[test]
fn made_up_items_have_the_requests_of_the_harness() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tasks");
    let text = std::fs::read_to_string(golden.join("requests.json")).unwrap();
    let expected: BTreeMap<String, Golden> = serde_json::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    for (name, expected) in &expected {
        let task = task(name);
        let definition = corpora::Task::definition(&task).unwrap();
        assert_eq!(definition.version.parse::<f64>().unwrap(), expected.version, "{name}");
        let is_normalised = expected.metrics.iter().any(|metric| metric == "acc_norm");
        assert_eq!(definition.is_normalised(), is_normalised, "{name}");
        let records = Records::read(&golden.join(format!("items/{name}.jsonl"))).unwrap();
        assert_eq!(records.items().len(), expected.items.len());
        for (item, expected) in expected.items.iter().enumerate() {
            let refused = REFUSED.iter().find(|own| (own.0, own.1) == (name.as_str(), item));
            let question = match (task.question(&records, item), refused) {
                (Ok(question), None) => question,
                (Err(error), Some((.., reason))) => {
                    assert!(error.to_string().contains(reason), "{error}");
                    continue;
                }
                (Ok(_), Some(_)) => panic!("{name}, item {item} is not refused"),
                (Err(error), None) => {
                    wrong.push(format!("{name}, item {item}: {error}"));
                    continue;
                }
            };
            let own = question.contexts.into_iter().zip(question.continuations);
            let own: Vec<(String, String)> = own.collect();
            let is_other_gold =
                question.gold != expected.gold && SAME_TEXT != (name.as_str(), item);
            if own != expected.requests || is_other_gold {
                let (theirs, gold) = (&expected.requests, expected.gold);
                wrong.push(format!(
                    "{name}, item {item}:\n  {own:?}, {}\n  {theirs:?}, {gold}",
                    question.gold
                ));
            }
            // Partial evaluation has no length to divide by.
            let lengths: Vec<usize> = question.lengths.iter().map(|own| own.characters).collect();
            if is_normalised && lengths != expected.lengths {
                wrong.push(format!("{name}, item {item}: {lengths:?}, {:?}", expected.lengths));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}
