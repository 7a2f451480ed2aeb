//! A cache of which positions are not read, or evicted: against transformers with plain loops over tokens
//! (`golden/kv.py`), and the identities of docs/SPEC.md section 14.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::{Path, PathBuf};

use models::{Batch, Dense, Device, Model, into_values, load, nll_by_sequence};
use serde::Deserialize;
use skips::{KvMode, KvScore, KvSelection, KvSkipping, Measuring};

fn golden_model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden").join(name)
}

fn model(name: &str) -> Box<dyn Model> {
    load(&golden_model(name), &Device::flex()).unwrap().model
}

const FAMILIES: [&str; 5] = ["llama", "mistral", "opt", "gemma3", "zamba2"];

const SCORES: [(&str, KvScore); 8] = [
    ("attention", KvScore::Attention),
    ("attention-value", KvScore::AttentionValue),
    ("key-size", KvScore::KeySize),
    ("key-size-reversed", KvScore::KeySizeReversed),
    ("value-size", KvScore::ValueSize),
    ("recency", KvScore::Recency),
    ("accumulated", KvScore::Accumulated),
    ("random", KvScore::Random),
];

fn ids(model: &dyn Model, n: usize) -> Vec<u32> {
    let vocabulary = model.facts().vocabulary as u32;
    (0..n as u32).map(|i| (i * i + 3 * i + 5) % vocabulary).collect()
}

fn selection(score: KvScore, sparsity: f64, mode: KvMode) -> KvSelection {
    KvSelection { score, sparsity, mode, sinks: 0, seed: 1 }
}

fn run(model: &dyn Model, selection: KvSelection, sequences: &[&[u32]]) -> Vec<f32> {
    let mut executor = KvSkipping::new(selection);
    into_values(model.forward(&Batch::new(sequences.iter().copied()), &mut executor).unwrap())
}

fn dense(model: &dyn Model, ids: &[u32]) -> Vec<f32> {
    into_values(model.forward(&Batch::new([ids]), &mut Dense).unwrap())
}

#[derive(Debug, Deserialize)]
struct Case {
    model: String,
    ids: Vec<u32>,
    mode: String,
    score: String,
    sparsity: f64,
    sinks: usize,
    window: usize,
    prompt: Option<usize>,
    nll_nats: f64,
}

#[test]
fn losses_are_those_of_plain_loops() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/kv.json");
    let cases: Vec<Case> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(cases.len(), 180);
    for case in &cases {
        let model = model(&case.model);
        let score = SCORES.iter().find(|(name, _)| *name == case.score).unwrap().1;
        let mode = match (case.mode.as_str(), case.prompt) {
            ("read", _) => KvMode::Read,
            (_, Some(tokens)) => KvMode::Prompt { tokens },
            (_, None) => KvMode::Write { every: case.window },
        };
        let selection = KvSelection { sinks: case.sinks, ..selection(score, case.sparsity, mode) };
        let batch = Batch::new([case.ids.as_slice()]);
        let hidden = model.forward(&batch, &mut KvSkipping::new(selection)).unwrap();
        let found = nll_by_sequence(model.as_ref(), &hidden, &batch).unwrap()[0];
        let off = (found - case.nll_nats).abs() / case.nll_nats;
        assert!(off < 2e-5, "{found}: {case:?}");
    }
}

#[test]
fn nothing_dropped_is_dense_bit_for_bit() {
    for name in FAMILIES {
        let model = model(name);
        let ids = ids(model.as_ref(), 20);
        let dense = dense(model.as_ref(), &ids);
        for (_, score) in SCORES {
            for mode in [KvMode::Read, KvMode::Write { every: 1 }] {
                let found = run(model.as_ref(), selection(score, 0.0, mode), &[&ids]);
                assert_eq!(found, dense, "{name}, {score:?}");
            }
        }
    }
}

/// A cut that comes after the last token changes nothing; the loops equal the plain attention then.
#[test]
fn a_cut_after_the_end_is_dense() {
    for name in FAMILIES {
        let model = model(name);
        let ids = ids(model.as_ref(), 20);
        let dense = dense(model.as_ref(), &ids);
        for mode in [KvMode::Write { every: 20 }, KvMode::Prompt { tokens: 20 }] {
            let found = run(model.as_ref(), selection(KvScore::Attention, 0.75, mode), &[&ids]);
            let difference = vector::worst(&found, &dense);
            assert!(difference < 1e-4, "{name}, {mode:?}: {difference:e}");
        }
    }
}

/// What comes later, and what else shares the batch, changes nothing of what came before.
#[test]
fn it_looks_neither_ahead_nor_aside() {
    for name in FAMILIES {
        let model = model(name);
        let ids = ids(model.as_ref(), 16);
        for mode in [KvMode::Read, KvMode::Write { every: 3 }] {
            let selection = selection(KvScore::Accumulated, 0.5, mode);
            let whole = run(model.as_ref(), selection, &[&ids]);
            let part = run(model.as_ref(), selection, &[&ids[..9]]);
            assert!(vector::worst(&whole[..part.len()], &part) < 1e-4, "{name}");
            let both = run(model.as_ref(), selection, &[&ids[..5], &ids]);
            assert!(vector::worst(&both[both.len() - whole.len()..], &whole) < 1e-4, "{name}");
        }
    }
}

#[test]
fn shares_are_those_of_the_rule() {
    let model = model("llama");
    let ids = ids(model.as_ref(), 20);
    let shares = |sparsity, mode, score| {
        let mut executor = KvSkipping::new(selection(score, sparsity, mode));
        model.forward(&Batch::new([ids.as_slice()]), &mut executor).unwrap();
        executor.take_shares()[0]
    };
    let groups = 2 * 2;
    let entries: u64 = (1..=20).sum::<u64>() * groups;
    let k = |n: u64| ((n as f64 / 2.0).round() as u64).max(1);
    let read = shares(0.5, KvMode::Read, KvScore::Attention);
    assert_eq!((read.entries, read.kept), (entries, (1..=20).map(k).sum::<u64>() * groups));
    assert!(read.kept_energy < read.energy);
    // By attention no set of that size holds more of it.
    let others = [KvScore::KeySize, KvScore::Recency, KvScore::Random];
    assert!(
        others
            .iter()
            .all(|score| { shares(0.5, KvMode::Read, *score).kept_energy < read.kept_energy })
    );
    // A token of mode `write` reads what the cut before it left, and itself.
    let write = shares(0.5, KvMode::Write { every: 1 }, KvScore::Accumulated);
    assert_eq!(write.kept, (1 + (1..20).map(|n| k(n) + 1).sum::<u64>()) * groups);
}

/// The past of a piece is not there to be cut.
#[test]
fn pieces_are_refused() {
    let model = model("llama");
    let mut executor = KvSkipping::new(selection(KvScore::Attention, 0.5, KvMode::Read));
    assert!(!executor.takes_pieces());
    let error = model.extend(&[1, 2], &mut model.new_cache(), &mut executor).unwrap_err();
    assert!(error.to_string().contains("run whole sequences"), "{error}");
}
