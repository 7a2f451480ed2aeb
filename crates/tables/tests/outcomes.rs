//! `acc` and `acc_norm` of given log-likelihoods, against lm-evaluation-harness 0.4.13 itself
//! (`corpora/tests/golden/tasks`): ties, and choices of unequal length.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use tables::{ChoiceRow, RowShares, TokenColumns, outcomes};

#[derive(Deserialize)]
struct Golden {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    gold: usize,
    lengths: Vec<u32>,
    scored: Vec<Scored>,
}

#[derive(Deserialize)]
struct Scored {
    loglikelihood: Vec<Option<f64>>,
    acc: u8,
    acc_norm: Option<u8>,
}

fn rows(gold: usize, lengths: &[u32], logprobs: &[f64]) -> Vec<ChoiceRow> {
    let choices = lengths.iter().zip(logprobs).enumerate();
    let row = |(choice, (length, logprob)): (usize, (&u32, &f64))| ChoiceRow {
        item_index: 0,
        choice_index: choice as u32,
        is_gold: choice == gold,
        logprob_nats: *logprob,
        n_target_tokens: 1,
        n_tokens: 1,
        n_characters: *length,
        n_bytes: *length,
        is_greedy: false,
        request_sha256: String::new(),
        shares: RowShares::default(),
        tokens: TokenColumns::default(),
    };
    choices.map(row).collect()
}

#[test]
fn decisions_are_those_of_the_harness() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpora/tests/golden/tasks");
    let text = std::fs::read_to_string(golden.join("requests.json")).unwrap();
    let tasks: BTreeMap<String, Golden> = serde_json::from_str(&text).unwrap();
    let mut n_decisions = 0;
    for (name, task) in &tasks {
        for (number, item) in task.items.iter().enumerate() {
            for scored in &item.scored {
                // A NaN counts as the largest there; no table takes one here.
                let Some(logprobs) =
                    scored.loglikelihood.iter().copied().collect::<Option<Vec<f64>>>()
                else {
                    continue;
                };
                let found = outcomes(&rows(item.gold, &item.lengths, &logprobs))[0];
                let what = format!("{name}, item {number}, {logprobs:?}");
                assert_eq!(u8::from(found.acc), scored.acc, "{what}");
                n_decisions += 1;
                // Where a choice is empty the harness divides by zero; such an item is refused here.
                if !item.lengths.contains(&0) {
                    let by_length = scored.acc_norm.unwrap_or(u8::from(found.acc_norm));
                    assert_eq!(u8::from(found.acc_norm), by_length, "{what}");
                }
            }
        }
    }
    assert!(n_decisions > 200, "{n_decisions} decisions");
}
