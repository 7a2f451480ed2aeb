//! Log-likelihoods of downstream tasks on SmolLM2 against lm-evaluation-harness 0.4.13 (transformers, f32),
//! choice by choice, where the weights and the published items are.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::print_stdout, reason = "what a test saw")]

mod common;

use std::{collections::BTreeMap, path::PathBuf};

use plan::{Cell, Protocol, Recipe, TextInput};
use serde::Deserialize;
use tables::{Store, Table, outcomes, read_choices};

use common::{order, real, run, stderr};

/// Two programs that add the same f32 numbers in another order: absolute, in nats.
const NATS: f64 = 1e-3;
/// And for every token of a choice: the harness takes the softmax in f32, which makes its tokens up to
/// 1.7e-5 nats too likely, all in one direction (the same logits in f64 agree with ours within 1e-4 for a
/// choice of 111 tokens). `cargo xtask check harness` asks it for f64, and needs no such allowance.
const NATS_A_TOKEN: f64 = 1e-5;

fn tasks() -> PathBuf {
    let here = common::repository().join("data/tasks");
    std::env::var_os("SLIM_TASKS").map_or(here, PathBuf::from)
}

#[derive(Deserialize)]
struct Oracle {
    tasks: BTreeMap<String, Vec<Answer>>,
}

#[derive(Deserialize)]
struct Answer {
    /// The right choice; under partial evaluation what follows, which is the same for all choices.
    target: serde_json::Value,
    loglikelihood: Vec<f64>,
    acc: f64,
    acc_norm: Option<f64>,
    ctx_tokens: Vec<usize>,
    cont_tokens: Vec<u32>,
}

/// Choices with a shared context (twice), and one context a choice: partial evaluation.
#[test]
fn every_choice_has_the_loglikelihood_of_the_harness() {
    const ITEMS: usize = 50;
    let names = ["hellaswag", "piqa", "winogrande"];
    let file = |name: &str| tasks().join(format!("{name}.jsonl"));
    let listed = tasks().join("oracle_smollm2.json");
    let mut needed = vec![real::gguf(), listed.clone()];
    needed.extend(names.map(file));
    if !real::all_there(&needed) {
        return;
    }
    let oracle: Oracle = serde_json::from_str(&std::fs::read_to_string(&listed).unwrap()).unwrap();
    let cell = |name: &str| Cell {
        model: "llama".to_owned(),
        dataset: name.to_owned(),
        protocol: format!("choice-{name}").parse::<Protocol>().unwrap(),
        limit: Some(ITEMS),
        calibration: None,
        recipe: Recipe::dense(1),
        offset: None,
        compare: None,
    };
    let folder = tempfile::tempdir().unwrap();
    let cells = names.iter().map(|name| cell(name)).collect();
    let mut order = order(&folder.path().join("run"), &real::gguf(), cells);
    order.texts.extend(names.map(|name| TextInput {
        name: name.to_owned(),
        path: file(name),
        sha256: name.to_owned(),
        reading: plan::Reading::default(),
    }));
    let output = run(&order, folder.path());
    assert!(output.status.success(), "{}", stderr(&output));
    let survey = Store::open_read_only(&order.results).unwrap().survey().unwrap();
    for name in names {
        let of_task = |own: &&tables::StoredFile| {
            own.table == Table::Choices && own.path.to_string_lossy().contains(name)
        };
        let stored = survey.files.iter().find(of_task).unwrap();
        let (_, rows) = read_choices(&stored.path).unwrap();
        let (expected, outcomes) = (&oracle.tasks[name], outcomes(&rows));
        assert_eq!((expected.len(), outcomes.len()), (ITEMS, ITEMS));
        let mut largest = 0.0_f64;
        for (answer, outcome) in expected.iter().zip(&outcomes) {
            let own = rows.iter().filter(|row| row.item_index == outcome.item_index);
            assert_eq!(outcome.n_choices as usize, answer.loglikelihood.len());
            for (choice, row) in own.enumerate() {
                let off = (row.logprob_nats - answer.loglikelihood[choice]).abs();
                let allowed = NATS + NATS_A_TOKEN * f64::from(row.n_target_tokens);
                assert!(off < allowed, "{name}, {row:?}: {}", answer.loglikelihood[choice]);
                largest = largest.max(off);
                assert_eq!(row.n_target_tokens, answer.cont_tokens[choice]);
                let read = answer.ctx_tokens[choice] + answer.cont_tokens[choice] as usize - 1;
                assert_eq!(row.n_tokens as usize, read);
            }
            let gold = answer.target.as_u64().unwrap_or(u64::from(outcome.gold));
            assert_eq!(u64::from(outcome.gold), gold, "{name}");
            assert_eq!(outcome.acc, answer.acc == 1.0, "{name}, item {}", outcome.item_index);
            let normalised = answer.acc_norm.map(|own| own == 1.0);
            assert_eq!(normalised.unwrap_or(outcome.acc_norm), outcome.acc_norm, "{name}");
        }
        println!("{name}: {} choices, off by {largest:.1e} nats at most", rows.len());
    }
}
