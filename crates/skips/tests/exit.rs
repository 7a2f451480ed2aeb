//! Early exit: against a plain logit-lens loop here and one in PyTorch (`golden/exit.py`), and what must
//! hold whatever the model.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use models::{
    Batch, Dense, Device, Executor, Layered, Model, Tensor, into_values, load, matrix,
    nll_by_sequence, streams,
};
use plan::{Recipe, Step};
use proptest::prelude::*;
use serde::Deserialize;
use skips::{
    ExitMode, ExitRule, Exiting, Measuring, Shares, lens,
    steps::{Running, SkipError, executor},
};

const MODES: [ExitMode; 2] = [ExitMode::FullContext, ExitMode::Propagate];

/// Grouped heads, a sliding window, two kinds of layers, norms after the sums with projections, positions
/// in a table, recurrent states, shared blocks.
const FAMILIES: [&str; 8] =
    ["llama", "mistral", "gemma3", "opt-post-norm", "gpt2", "qwen3", "mamba2", "zamba2"];

fn golden_model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden").join(name)
}

fn model(name: &str) -> Box<dyn Model> {
    load(&golden_model(name), &Device::flex()).unwrap().model
}

fn ids(model: &dyn Model, n: usize) -> Vec<u32> {
    let vocabulary = model.facts().vocabulary as u32;
    (0..n as u32).map(|i| (i * i + 3 * i + 5) % vocabulary).collect()
}

fn exiting(model: &dyn Model, rule: ExitRule, mode: ExitMode) -> Exiting {
    Exiting::new(rule, mode, model.facts().layers)
}

/// Hidden rows, and the shares of the only sequence.
fn run(model: &dyn Model, rule: ExitRule, mode: ExitMode, ids: &[u32]) -> (Vec<f32>, Shares) {
    let mut executor = exiting(model, rule, mode);
    let hidden = into_values(model.forward(&Batch::new([ids]), &mut executor).unwrap());
    (hidden, executor.take_shares()[0])
}

fn dense(model: &dyn Model, ids: &[u32]) -> Vec<f32> {
    into_values(model.forward(&Batch::new([ids]), &mut Dense).unwrap())
}

#[derive(Deserialize)]
struct Case {
    model: String,
    ids: Vec<u32>,
    threshold: Option<f64>,
    patience: Option<usize>,
    mode: String,
    layers: Vec<u64>,
    nll_nats: f64,
}

#[test]
fn losses_and_layers_are_those_of_a_loop_in_pytorch() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/exit.json");
    let cases: Vec<Case> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(cases.len(), 86);
    for case in &cases {
        let model = model(&case.model);
        let rule = match (case.threshold, case.patience) {
            (Some(threshold), _) => ExitRule::Confidence(threshold),
            (None, layers) => ExitRule::Patience(layers.unwrap()),
        };
        let mode = match case.mode.as_str() {
            "propagate" => ExitMode::Propagate,
            _ => ExitMode::FullContext,
        };
        let what = format!("{}, {rule:?}, {mode:?}", case.model);
        let mut executor = exiting(model.as_ref(), rule, mode);
        let batch = Batch::new([case.ids.as_slice()]);
        let hidden = model.forward(&batch, &mut executor).unwrap();
        let shares = executor.take_shares()[0];
        assert_eq!(shares.exit_layers, case.layers.iter().sum::<u64>(), "{what}");
        assert_eq!(shares.exit_tokens, case.ids.len() as u64, "{what}");
        let found = nll_by_sequence(model.as_ref(), &hidden, &batch).unwrap()[0];
        let off = (found - case.nll_nats).abs() / case.nll_nats;
        assert!(off < 2e-5, "{what}: {found}, not {}", case.nll_nats);
    }
}

/// The argmax of a row of logits and its probability, from softmax itself.
fn choice(logits: &[f32]) -> (usize, f64) {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = id;
        }
    }
    let sum: f64 = logits.iter().map(|logit| f64::from(*logit).exp()).sum();
    (best, f64::from(logits[best]).exp() / sum)
}

fn choice_at(model: &dyn Model, stream: &[f32]) -> (usize, f64) {
    let x = matrix(stream.to_vec(), [1, stream.len()], &Device::flex());
    choice(&into_values(model.logits(model.finish(x))))
}

/// Whether the token of these choices, one a layer up to now, leaves.
fn leaves(rule: ExitRule, choices: &[(usize, f64)]) -> bool {
    let (id, probability) = choices[choices.len() - 1];
    match rule {
        ExitRule::Confidence(threshold) => probability >= threshold,
        ExitRule::Patience(layers) => {
            choices.iter().rev().take_while(|choice| choice.0 == id).count() >= layers
        }
    }
}

/// Section 13 token by token and layer by layer: the hidden row of every token, and how many layers it took.
fn naive(model: &dyn Model, rule: ExitRule, mode: ExitMode, ids: &[u32]) -> (Vec<f32>, Vec<usize>) {
    let (layers, width) = (model.facts().layers, model.facts().d_model);
    // What enters each layer, of the tokens so far.
    let mut inputs: Vec<Vec<f32>> = vec![Vec::new(); layers];
    let (mut exit_streams, mut exit_layers) = (Vec::new(), Vec::new());
    let row = |x: Tensor<2>, t: usize| into_values(x)[t * width..(t + 1) * width].to_vec();
    for t in 0..ids.len() {
        let batch = Batch::new([&ids[..=t]]);
        let mut stream = row(model.start(&batch).unwrap(), t);
        let (mut left, mut choices) = (None, Vec::new());
        for (layer, entered) in inputs.iter_mut().enumerate() {
            entered.extend(&stream);
            if left.is_some() && mode == ExitMode::Propagate {
                continue;
            }
            let x = matrix(entered.clone(), [t + 1, width], &Device::flex());
            stream = row(model.through(layer..layer + 1, x, &batch, None, &mut Dense).unwrap(), t);
            choices.push(choice_at(model, &stream));
            if left.is_none() && (layer + 1 == layers || leaves(rule, &choices)) {
                left = Some(layer);
                exit_streams.extend(&stream);
                exit_layers.push(layer + 1);
            }
        }
    }
    let x = matrix(exit_streams, [ids.len(), width], &Device::flex());
    (into_values(model.finish(x)), exit_layers)
}

/// A threshold that half of the choices of the layers before the last reach, in the middle between two.
fn median(model: &dyn Model, ids: &[u32]) -> f64 {
    let (layers, width) = (model.facts().layers, model.facts().d_model);
    let streams = streams(model, &Batch::new([ids])).unwrap();
    let before_the_last = streams[1..layers].iter().flat_map(|x| {
        let x = into_values(x.clone());
        x.chunks(width).map(|row| choice_at(model, row).1).collect::<Vec<f64>>()
    });
    let mut found: Vec<f64> = before_the_last.collect();
    found.sort_by(f64::total_cmp);
    let middle = found.len() / 2;
    0.5 * (found[middle - 1] + found[middle])
}

fn rules(model: &dyn Model, ids: &[u32]) -> [ExitRule; 3] {
    [ExitRule::Confidence(median(model, ids)), ExitRule::Patience(1), ExitRule::Patience(2)]
}

#[test]
fn every_family_equals_the_naive_way() {
    for name in FAMILIES {
        let model = model(name);
        let ids = ids(model.as_ref(), 20);
        for rule in rules(model.as_ref(), &ids) {
            for mode in MODES {
                let (found, shares) = run(model.as_ref(), rule, mode, &ids);
                let (expected, layers) = naive(model.as_ref(), rule, mode, &ids);
                let what = format!("{name}, {rule:?}, {mode:?}");
                assert_eq!(shares.exit_layers, layers.iter().sum::<usize>() as u64, "{what}");
                let difference = vector::worst(&found, &expected);
                assert!(difference < 1e-4, "{what}: {difference:e}");
            }
        }
    }
}

#[test]
fn a_token_that_never_leaves_is_dense_bit_for_bit() {
    for name in FAMILIES {
        let model = model(name);
        let (ids, layers) = (ids(model.as_ref(), 20), model.facts().layers);
        let expected = dense(model.as_ref(), &ids);
        for rule in [ExitRule::Confidence(1.0), ExitRule::Patience(layers + 1)] {
            for mode in MODES {
                let (found, shares) = run(model.as_ref(), rule, mode, &ids);
                assert_eq!(found, expected, "{name}, {rule:?}, {mode:?}");
                assert_eq!(shares.layers_per_token(), Some(layers as f64));
                assert_eq!(shares.reached_sparsity(), 0.0);
            }
        }
    }
}

#[test]
fn patience_of_one_layer_leaves_at_the_first() {
    for name in FAMILIES {
        let model = model(name);
        let ids = ids(model.as_ref(), 12);
        let batch = Batch::new([ids.as_slice()]);
        let x = model.start(&batch).unwrap();
        let x = model.through(0..1, x, &batch, None, &mut Dense).unwrap();
        let expected = into_values(model.finish(x));
        for mode in MODES {
            let (found, shares) = run(model.as_ref(), ExitRule::Patience(1), mode, &ids);
            assert_eq!(found, expected, "{name}, {mode:?}");
            assert_eq!(shares.layers_per_token(), Some(1.0), "{name}, {mode:?}");
        }
    }
}

/// A batch of several sequences, token by token with a cache, and branches from one beginning give what
/// each whole sequence gives.
#[test]
fn pieces_and_batches_do_not_matter() {
    for name in FAMILIES {
        let model = model(name);
        let model = model.as_ref();
        let ids = ids(model, 18);
        for rule in rules(model, &ids) {
            for mode in MODES {
                let what = format!("{name}, {rule:?}, {mode:?}");
                let (whole, shares) = run(model, rule, mode, &ids);
                let mut executor = exiting(model, rule, mode);
                assert!(executor.takes_pieces());
                let (mut cache, mut pieces) = (model.new_cache(), Vec::new());
                for id in &ids {
                    let hidden = model.extend(&[*id], &mut cache, &mut executor).unwrap();
                    pieces.extend(into_values(hidden));
                }
                assert!(vector::worst(&pieces, &whole) < 1e-4, "{what}");
                let mut sum = Shares::default();
                executor.take_shares().iter().for_each(|own| sum.add(own));
                assert_eq!(sum, shares, "{what}");

                let batch = Batch::new([&ids[..5], &ids[..]]);
                let mut executor = exiting(model, rule, mode);
                let both = into_values(model.forward(&batch, &mut executor).unwrap());
                let second = &both[both.len() - whole.len()..];
                assert!(vector::worst(second, &whole) < 1e-4, "{what}");
                let of_both = executor.take_shares();
                assert_eq!((of_both.len(), of_both[1]), (2, shares), "{what}");

                let mut cache = model.new_cache();
                model.extend(&ids[..10], &mut cache, &mut executor).unwrap();
                let branches = [&ids[10..], &ids[..3]];
                let behind = model.branch(&branches, &cache, &mut executor).unwrap();
                let width = whole.len() / ids.len();
                let behind = &into_values(behind)[..8 * width];
                assert!(vector::worst(behind, &whole[10 * width..]) < 1e-4, "{what}");
            }
        }
    }
}

fn recipe(steps: &[&str]) -> Recipe {
    Recipe::new(steps.iter().map(|step| step.parse::<Step>().unwrap()).collect(), 1).unwrap()
}

fn of_recipe(model: &dyn Model, steps: &[&str]) -> Box<dyn Running> {
    executor::<SkipError>(&recipe(steps), model, |_| Ok(Vec::new())).unwrap()
}

/// With a skip of another part a token leaves by what that skip makes of it, and both are counted.
#[test]
fn it_goes_with_a_skip_of_another_part() {
    let model = model("gemma3");
    let ids = ids(model.as_ref(), 20);
    let batch = Batch::new([ids.as_slice()]);
    let neurons = "skip=ffn,score=magnitude,sparsity=0.5";
    let leave = "skip=exit,method=patience,patience=2,mode=propagate";
    let hidden = |steps: &[&str]| {
        let mut executor = of_recipe(model.as_ref(), steps);
        assert!(executor.takes_pieces());
        let hidden = into_values(model.forward(&batch, executor.as_mut()).unwrap());
        (hidden, executor.take_shares()[0])
    };
    let (both, shares) = hidden(&[neurons, leave]);
    assert_eq!(hidden(&[leave, neurons]).0, both, "skips have no order");
    let (of_neurons, neuron_shares) = hidden(&[neurons]);
    let (of_leave, _) = hidden(&[leave]);
    assert!(both != of_neurons && both != of_leave);
    assert_eq!((neuron_shares.layers_per_token(), shares.exit_tokens), (None, 20));
    assert!(shares.layers_per_token().unwrap() < 4.0);
    let never = "skip=exit,method=patience,patience=9,mode=propagate";
    assert_eq!(hidden(&[neurons, never]).0, of_neurons);
}

/// Of a model whose layers were cut the layers that are left are counted, and its last one predicts.
#[test]
fn it_runs_on_the_layers_that_a_cut_left() {
    for name in ["gemma3", "zamba2"] {
        let inner: Arc<dyn Model> = Arc::from(model(name));
        let cut = Layered::without(inner, &[1, 2]).unwrap();
        let ids = ids(&cut, 16);
        for mode in MODES {
            let rule = ExitRule::Confidence(median(&cut, &ids));
            let (found, shares) = run(&cut, rule, mode, &ids);
            let (expected, layers) = naive(&cut, rule, mode, &ids);
            assert_eq!(shares.exit_layers, layers.iter().sum::<usize>() as u64, "{name}, {mode:?}");
            assert!(vector::worst(&found, &expected) < 1e-4, "{name}, {mode:?}");
        }
    }
}

/// What the lens counts is what a loop over tokens finds.
#[test]
fn the_lens_equals_a_loop() {
    for name in FAMILIES {
        let model = model(name);
        let (ids, layers) = (ids(model.as_ref(), 20), model.facts().layers);
        let streams = streams(model.as_ref(), &Batch::new([ids.as_slice()])).unwrap();
        let of_layer = |x: &Tensor<2>| -> Vec<(usize, f64)> {
            let x = into_values(x.clone());
            x.chunks(model.facts().d_model).map(|row| choice_at(model.as_ref(), row)).collect()
        };
        let choices: Vec<Vec<(usize, f64)>> = streams[1..].iter().map(of_layer).collect();
        for rule in rules(model.as_ref(), &ids) {
            let found = lens(model.as_ref(), &ids, Some(rule)).unwrap();
            assert_eq!(found.len(), layers);
            for (layer, sums) in found.iter().enumerate() {
                let count = |is: &dyn Fn(usize) -> bool| (0..20).filter(|t| is(*t)).count() as u64;
                let agrees = |at: usize, t: usize| choices[at][t].0 == choices[layers - 1][t].0;
                assert_eq!(sums.tokens, 20);
                assert_eq!(sums.agreeing, count(&|t| agrees(layer, t)), "{name}, {layer}");
                let settled = count(&|t| (layer..layers).all(|at| agrees(at, t)));
                assert_eq!(sums.settled, settled, "{name}, {layer}");
                let probability: f64 = choices[layer].iter().map(|choice| choice.1).sum();
                assert!((sums.probability - probability).abs() < 1e-4, "{name}, {layer}");
            }
            let leaving: Vec<u64> = found.iter().map(|sums| sums.leaving.unwrap()).collect();
            assert_eq!(leaving.iter().sum::<u64>(), 20);
            let layers: u64 = leaving.iter().zip(1..).map(|(tokens, layers)| tokens * layers).sum();
            let (_, shares) = run(model.as_ref(), rule, ExitMode::FullContext, &ids);
            assert_eq!(layers, shares.exit_layers, "{name}, {rule:?}");
        }
        let without = lens(model.as_ref(), &ids, None).unwrap();
        assert!(without.iter().all(|sums| sums.leaving.is_none()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// With full context nothing that a token does reaches another: one that goes through all layers has
    /// the bits of the dense model, and one that left those of its exit layer, whatever the others do.
    #[test]
    fn full_context_leaves_the_others_alone(
        family in 0..FAMILIES.len(), threshold in 0.02_f64..0.9, length in 1_usize..30,
    ) {
        let model = model(FAMILIES[family]);
        let ids = ids(model.as_ref(), length);
        let rule = ExitRule::Confidence(threshold);
        let (found, _) = run(model.as_ref(), rule, ExitMode::FullContext, &ids);
        let streams = streams(model.as_ref(), &Batch::new([ids.as_slice()])).unwrap();
        let by_layer: Vec<Vec<f32>> =
            streams[1..].iter().map(|x| into_values(model.finish(x.clone()))).collect();
        // Of a hidden row, which may be narrower than the stream.
        let width = found.len() / length;
        for (t, row) in found.chunks(width).enumerate() {
            let is_layer = by_layer.iter().any(|own| own[t * width..(t + 1) * width] == *row);
            prop_assert!(is_layer, "token {t}");
        }
    }

    /// A token leaves no later where less is asked for.
    #[test]
    fn less_asked_for_is_no_later(
        family in 0..FAMILIES.len(), a in 0.01_f64..1.0, b in 0.01_f64..1.0,
        m in 1_usize..7, n in 1_usize..7,
    ) {
        let model = model(FAMILIES[family]);
        let ids = ids(model.as_ref(), 16);
        let layers = |rule| run(model.as_ref(), rule, ExitMode::FullContext, &ids).1.exit_layers;
        let [low, high] = [a.min(b), a.max(b)].map(ExitRule::Confidence);
        prop_assert!(layers(low) <= layers(high));
        let [low, high] = [m.min(n), m.max(n)].map(ExitRule::Patience);
        prop_assert!(layers(low) <= layers(high));
    }

    /// What else is in a batch does not matter.
    #[test]
    fn results_do_not_depend_on_the_batch(
        family in 0..FAMILIES.len(), lengths in prop::collection::vec(1_usize..20, 1..4),
        own in 1_usize..20, patience in 1_usize..4, propagates: bool,
    ) {
        let model = model(FAMILIES[family]);
        let all = ids(model.as_ref(), 40);
        let mode = MODES[usize::from(propagates)];
        let rule = ExitRule::Patience(patience);
        let (alone, shares) = run(model.as_ref(), rule, mode, &all[..own]);
        let others = lengths.iter().enumerate().map(|(i, n)| &all[i..i + n]);
        let batch = Batch::new(others.chain([&all[..own]]));
        let mut executor = exiting(model.as_ref(), rule, mode);
        let hidden = into_values(model.forward(&batch, &mut executor).unwrap());
        let last = &hidden[hidden.len() - alone.len()..];
        prop_assert!(vector::worst(last, &alone) < 1e-4);
        let of_all = executor.take_shares();
        prop_assert_eq!(of_all.last(), Some(&shares));
    }
}

/// An executor that is had again for another thread has measured nothing.
#[test]
fn a_fresh_executor_begins_anew() {
    let model = model("llama");
    let ids = ids(model.as_ref(), 8);
    let mut executor: Box<dyn Running> =
        of_recipe(model.as_ref(), &["skip=exit,method=patience,patience=2,mode=full-context"]);
    model.forward(&Batch::new([ids.as_slice()]), executor.as_mut() as &mut dyn Executor).unwrap();
    assert!(executor.fresh().take_shares().is_empty());
    assert_eq!(executor.take_shares().len(), 1);
}
