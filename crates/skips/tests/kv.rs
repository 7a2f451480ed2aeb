//! A cache of which positions are not read, or evicted: against transformers with plain loops over tokens
//! (`golden/kv.py`), and the identities of docs/SPEC.md section 14.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::{Path, PathBuf};

use models::{Batch, Dense, Device, Executor, Model, into_values, load, nll_by_sequence};
use proptest::prelude::*;
use serde::Deserialize;
use skips::{
    CacheBytes, Commitment, KvMasking, KvMode, KvScore, KvSelection, KvSkipping, Measuring, Rule,
    Shares,
};

const READ: KvMode = KvMode::Read(Commitment::DYNAMIC);

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
    rule: Option<String>,
    prompt: Option<usize>,
    nll_nats: f64,
}

fn read(window: usize, rule: Option<&str>) -> KvMode {
    let rule = match rule {
        None => return READ,
        Some("window-mean") => Rule::WindowMean,
        Some("first-token") => Rule::FirstToken,
        Some("previous-window") => Rule::PreviousWindow,
        Some(other) => panic!("{other}"),
    };
    KvMode::Read(Commitment { window, rule })
}

#[test]
fn losses_are_those_of_plain_loops() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/kv.json");
    let cases: Vec<Case> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(cases.len(), 348);
    for case in &cases {
        let model = model(&case.model);
        let score = SCORES.iter().find(|(name, _)| *name == case.score).unwrap().1;
        let mode = match (case.mode.as_str(), case.prompt) {
            ("read", _) => read(case.window, case.rule.as_deref()),
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
            for mode in [READ, KvMode::Write { every: 1 }] {
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
        for mode in [READ, KvMode::Write { every: 3 }] {
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
    let read = shares(0.5, READ, KvScore::Attention);
    assert_eq!((read.entries, read.kept), (entries, (1..=20).map(k).sum::<u64>() * groups));
    assert!(read.kept_energy < read.energy);
    // By attention no set of that size holds more of it.
    let others = [KvScore::KeySize, KvScore::Recency, KvScore::Random];
    assert!(
        others.iter().all(|score| { shares(0.5, READ, *score).kept_energy < read.kept_energy })
    );
    // A token of mode `write` reads what the cut before it left, and itself.
    let write = shares(0.5, KvMode::Write { every: 1 }, KvScore::Accumulated);
    assert_eq!(write.kept, (1 + (1..20).map(|n| k(n) + 1).sum::<u64>()) * groups);
}

/// Every mode, with windows that do and do not divide the sequence.
fn modes() -> Vec<KvMode> {
    let rules = [Rule::WindowMean, Rule::FirstToken, Rule::PreviousWindow, Rule::Random];
    let read = rules.into_iter().map(|rule| KvMode::Read(Commitment { window: 5, rule }));
    let write = [1, 3].map(|every| KvMode::Write { every });
    let prompts = [7, 40].map(|tokens| KvMode::Prompt { tokens });
    [READ].into_iter().chain(read).chain(write).chain(prompts).collect()
}

fn with<E: Executor + Measuring>(
    mut executor: E,
    model: &dyn Model,
    ids: &[u32],
) -> (Vec<f32>, Shares) {
    let hidden = into_values(model.forward(&Batch::new([ids]), &mut executor).unwrap());
    (hidden, executor.take_shares()[0])
}

/// What runs against lists of positions over all logits: outputs, counts, and the bytes of the cache.
#[test]
fn what_runs_equals_the_masks() {
    for name in FAMILIES {
        let model = model(name);
        let ids = ids(model.as_ref(), 23);
        for (_, score) in SCORES {
            for mode in modes() {
                for sinks in [0, 2] {
                    let of_prompt = matches!(mode, KvMode::Prompt { .. });
                    if of_prompt && score == KvScore::Accumulated {
                        continue;
                    }
                    let selection = KvSelection { sinks, ..selection(score, 0.6, mode) };
                    let (fast, counted) = with(KvSkipping::new(selection), &*model, &ids);
                    let (masked, expected) = with(KvMasking::new(selection), &*model, &ids);
                    let case = format!("{name}, {selection:?}");
                    // Sums of two dozen f32 products in another order, through a few layers.
                    assert!(vector::worst(&fast, &masked) < 1e-4, "{case}");
                    let whole = |s: &Shares| (s.entries, s.kept, s.cache);
                    assert_eq!(whole(&counted), whole(&expected), "{case}");
                    let off = (counted.kept_energy - expected.kept_energy).abs();
                    assert!(off < 1e-3 * expected.energy, "{case}: {off}");
                }
            }
        }
    }
}

/// Token by token and piece by piece, over a cache that really forgets, as the whole sequence; and the
/// bytes that the cache holds are those that the whole sequence claims.
#[test]
fn decoding_is_the_whole_sequence() {
    let modes = [READ, KvMode::Write { every: 1 }, KvMode::Write { every: 4 }];
    let modes = modes.into_iter().chain([KvMode::Prompt { tokens: 9 }]);
    let cases: Vec<(KvMode, KvScore)> =
        modes.flat_map(|mode| SCORES.map(|(_, score)| (mode, score))).collect();
    for name in FAMILIES {
        let model = model(name);
        let ids = ids(model.as_ref(), 23);
        for (mode, score) in &cases {
            let selection = KvSelection { sinks: 1, ..selection(*score, 0.6, *mode) };
            let mut executor = KvSkipping::new(selection);
            if *score == KvScore::Random {
                assert!(!executor.takes_pieces(), "a draw hangs on the whole sequence");
                let error = model.extend(&[1], &mut model.new_cache(), &mut executor).unwrap_err();
                assert!(error.to_string().contains("run whole sequences"), "{error}");
                continue;
            }
            assert!(executor.takes_pieces());
            let (whole, shares) = with(KvSkipping::new(selection), &*model, &ids);
            for pieces in [vec![1; 23], vec![6, 1, 9, 7]] {
                let (mut cache, mut rest) = (model.new_cache(), ids.as_slice());
                let (mut hidden, mut held) = (Vec::new(), Vec::new());
                for n in &pieces {
                    let (piece, behind) = rest.split_at(*n);
                    rest = behind;
                    hidden.extend(into_values(
                        model.extend(piece, &mut cache, &mut executor).unwrap(),
                    ));
                    held.push(cache.kv_bytes());
                }
                assert!(vector::worst(&hidden, &whole) < 1e-4, "{name}, {selection:?}");
                let claimed = shares.cache.unwrap();
                assert_eq!(*held.last().unwrap(), claimed.left, "{name}, {selection:?}");
                if pieces.len() == ids.len() {
                    assert_eq!(held.into_iter().max().unwrap(), claimed.peak, "{selection:?}");
                }
            }
        }
    }
}

/// Nothing is freed by what is only not read, and eviction leaves κ of it.
#[test]
fn bytes_are_those_of_the_rule() {
    let model = model("llama");
    let ids = ids(model.as_ref(), 20);
    let bytes = |mode, sparsity| {
        let selection = selection(KvScore::Attention, sparsity, mode);
        with(KvSkipping::new(selection), &*model, &ids).1.cache.unwrap()
    };
    let (mut cache, mut executor) = (model.new_cache(), Dense);
    model.extend(&ids, &mut cache, &mut executor).unwrap();
    let dense = cache.kv_bytes();
    let all = CacheBytes { left: dense, peak: dense, dense };
    assert_eq!(bytes(READ, 0.5), all);
    assert_eq!(bytes(KvMode::Write { every: 1 }, 0.0), all);
    let evicted = bytes(KvMode::Write { every: 1 }, 0.75);
    assert_eq!(evicted, CacheBytes { left: dense / 4, peak: dense / 4, dense });
    // Cuts after 8 and 16 tokens leave 2 and 4, to which up to seven come before the next.
    let rarely = bytes(KvMode::Write { every: 8 }, 0.75);
    assert_eq!((rarely.left, rarely.peak), (dense * 8 / 20, dense * 9 / 20));
}

/// One window of one query is the choice anew for every query.
#[test]
fn a_window_of_one_is_dynamic() {
    for name in FAMILIES {
        let model = model(name);
        let ids = ids(model.as_ref(), 20);
        for (_, score) in SCORES {
            let dynamic = run(model.as_ref(), selection(score, 0.5, READ), &[&ids]);
            for rule in [Rule::WindowMean, Rule::FirstToken] {
                let mode = KvMode::Read(Commitment { window: 1, rule });
                let found = run(model.as_ref(), selection(score, 0.5, mode), &[&ids]);
                assert_eq!(found, dynamic, "{name}, {score:?}, {rule:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Never more is read as κ grows. What a cut dropped never comes back: a token holds what the one before
    /// held and itself, or less. Sinks never go.
    #[test]
    fn nested_and_gone(low in 0.0_f64..0.95, high in 0.0_f64..0.95, salt in 0_u32..90) {
        let model = model("llama");
        let ids: Vec<u32> = (0..18).map(|i| (i * i * 7 + salt) % 90).collect();
        let (low, high) = (low.min(high), low.max(high));
        for score in [KvScore::Attention, KvScore::KeySize, KvScore::Random] {
            let shares = |sparsity| with(
                KvSkipping::new(selection(score, sparsity, READ)), &*model, &ids).1;
            let (more, less) = (shares(low), shares(high));
            prop_assert!(less.kept <= more.kept);
        }
        let chosen = |sparsity: f64| {
            let selection = selection(KvScore::Attention, sparsity, KvMode::Write { every: 1 });
            let mut executor = KvSkipping::new(KvSelection { sinks: 2, ..selection });
            let (mut cache, mut before) = (model.new_cache(), Vec::<Vec<usize>>::new());
            for id in &ids {
                model.extend(&[*id], &mut cache, &mut executor).unwrap();
                let seen = cache.seen();
                let now: Vec<Vec<usize>> = cache.attention().iter()
                    .flat_map(|own| own.heads.iter().map(|head| head.positions.clone())).collect();
                for (index, positions) in now.iter().enumerate() {
                    let old = before.get(index).cloned().unwrap_or_default();
                    for position in positions {
                        assert!(old.contains(position) || position + 1 == seen, "it came back");
                    }
                    for sink in 0..2.min(seen) {
                        assert!(positions.contains(&sink), "a sink is gone: {positions:?}");
                    }
                }
                before = now;
            }
        };
        // Dense holds no positions of heads.
        chosen(high.max(0.05));
    }
}
