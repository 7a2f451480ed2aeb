//! `lambada-openai` on unusual texts, against lm-evaluation-harness itself (`golden/harness.py`): white space
//! of every kind before the last word, tokens over the join, texts longer than the model.
//!
//! Ids are the same ones. Tolerance of log-probabilities: 2e-6 of (1 + its size), some five times what was
//! seen: the harness adds up float32, and its kernels and ours differ in the last digits of logits.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::{Path, PathBuf};

use corpora::{Item, Text, Tokenizer, openai_items};
use evaluation::{Passes, evaluate};
use models::{Dense, Device, load};
use serde::Deserialize;

const TOLERANCE: f64 = 2e-6;

#[derive(Deserialize)]
struct Expected {
    subjects: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    model: String,
    /// In place of the folder's own.
    tokenizer: Option<String>,
    items: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    text: String,
    ids: Vec<u32>,
    n_targets: usize,
    logprob_nats: f64,
    correct: bool,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file of this test's own.
fn written(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("harness-{name}"));
    std::fs::write(&path, text).unwrap();
    path
}

fn lines<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    texts.map(|text| serde_json::json!({ "text": text }).to_string() + "\n").collect()
}

#[test]
fn unusual_texts_are_read_and_scored_as_the_harness_does() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/harness.json");
    let expected: Expected = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    assert_eq!(expected.subjects.len(), 3);
    for (number, subject) in expected.subjects.iter().enumerate() {
        let folder = repository().join(&subject.model);
        let loaded = load(&folder, &Device::flex()).unwrap();
        let tokenizer = match &subject.tokenizer {
            None => Tokenizer::from_folder(&folder).unwrap(),
            Some(json) => {
                Tokenizer::from_file(&written(&format!("{number}.tokenizer.json"), json)).unwrap()
            }
        };
        let texts = lines(subject.items.iter().map(|item| item.text.as_str()));
        let text = Text::read(&written(&format!("{number}.jsonl"), &texts)).unwrap();
        let positions = loaded.facts.max_positions;
        let items = openai_items(&text, &tokenizer, positions, None).unwrap();
        assert_eq!(items.len(), subject.items.len());
        let mut worst = 0.0_f64;
        for (item, answer) in items.iter().zip(&subject.items) {
            let what = format!("{:?} of {}", answer.text, subject.model);
            let request = item.request();
            let found = (request.ids(), request.targets().len());
            assert_eq!(found, (answer.ids.as_slice(), answer.n_targets), "{what}");
            assert!(request.read().len() <= positions, "{what}");
            let alone: &[Item] = std::slice::from_ref(item);
            let model = loaded.model.as_ref();
            let found = evaluate(model, &mut Dense, alone, Passes::Whole, None).unwrap().remove(0);
            assert_eq!(found.is_greedy, answer.correct, "{what}");
            let off = (found.logprob_nats - answer.logprob_nats).abs()
                / (1.0 + answer.logprob_nats.abs());
            assert!(
                off <= TOLERANCE,
                "{what}: {}, not {}",
                found.logprob_nats,
                answer.logprob_nats
            );
            worst = worst.max(off);
        }
        println!("{}: {} texts, off by {worst:.1e} at most", subject.model, items.len());
    }
}

/// What the harness stops at is an error that names the item.
#[test]
fn items_without_context_or_room_are_told() {
    let folder = repository().join("crates/models/tests/golden/llama");
    let tokenizer = Tokenizer::from_file(&folder.join("tokenizer.json")).unwrap();
    let long = format!("The keeper {}", "abcd".repeat(17));
    for (text, reason) in [
        ("word", "item 1: nothing stands in front of its last word"),
        ("\n \u{a0} word", "item 1: nothing stands in front of its last word"),
        (long.as_str(), "item 1: its last word does not fit into 32 positions"),
    ] {
        let texts = lines(["The keeper ran", text].into_iter());
        let text = Text::read(&written("bad.jsonl", &texts)).unwrap();
        let error = openai_items(&text, &tokenizer, 32, None).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
