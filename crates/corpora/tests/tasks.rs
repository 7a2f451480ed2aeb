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
