//! Skipped attention heads: against transformers with hooks (`golden/heads.py`), and the identities of
//! docs/SPEC.md section 8.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::{Path, PathBuf};

use models::{
    AttentionInputs, AttentionSite, Batch, Dense, Device, Executor, ExecutorError, FfnSite,
    KvCache, Model, Tensor, into_values, load, nll_by_sequence,
};
use serde::Deserialize;
use skips::{Commitment, HeadScore, HeadSelection, HeadSkipping, Measuring, Rule};

fn golden_model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden").join(name)
}

fn model(name: &str) -> Box<dyn Model> {
    load(&golden_model(name), &Device::flex()).unwrap().model
}

/// Families with grouped heads, a sliding window, biases, two kinds of layers, a shared block.
const FAMILIES: [&str; 5] = ["llama", "mistral", "opt", "gemma3", "zamba2"];

fn ids(model: &dyn Model, n: usize) -> Vec<u32> {
    let vocabulary = model.facts().vocabulary as u32;
    (0..n as u32).map(|i| (i * i + 3 * i + 5) % vocabulary).collect()
}

fn selection(score: HeadScore, sparsity: f64, window: usize, rule: Rule) -> HeadSelection {
    HeadSelection { score, sparsity, commitment: Commitment { window, rule }, seed: 1 }
}

fn dynamic(score: HeadScore, sparsity: f64) -> HeadSelection {
    selection(score, sparsity, 1, Rule::WindowMean)
}

fn run(model: &dyn Model, selection: HeadSelection, ids: &[u32]) -> Vec<f32> {
    let mut executor = HeadSkipping::new(selection, model.attentions().len());
    into_values(model.forward(&Batch::new([ids]), &mut executor).unwrap())
}

#[derive(Deserialize)]
struct Case {
    model: String,
    ids: Vec<u32>,
    score: String,
    sparsity: f64,
    window: usize,
    rule: Option<String>,
    nll_nats: f64,
}

#[test]
fn losses_are_those_of_transformers_with_hooks() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/heads.json");
    let cases: Vec<Case> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(cases.len(), 72);
    for case in &cases {
        let model = model(&case.model);
        let score = match case.score.as_str() {
            "magnitude" => HeadScore::Magnitude,
            _ => HeadScore::Impact,
        };
        let rule = match case.rule.as_deref() {
            None | Some("window-mean") => Rule::WindowMean,
            Some("first-token") => Rule::FirstToken,
            Some(_) => Rule::PreviousWindow,
        };
        let selection = selection(score, case.sparsity, case.window, rule);
        let mut executor = HeadSkipping::new(selection, model.attentions().len());
        let batch = Batch::new([case.ids.as_slice()]);
        let hidden = model.forward(&batch, &mut executor).unwrap();
        let found = nll_by_sequence(model.as_ref(), &hidden, &batch).unwrap()[0];
        let off = (found - case.nll_nats).abs() / case.nll_nats;
        assert!(off < 2e-5, "{}, {selection:?}: {found}, not {}", case.model, case.nll_nats);
    }
}

/// What section 14 says, token by token and with the whole projection.
struct Naive {
    score: HeadScore,
    sparsity: f64,
}

impl Executor for Naive {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        Dense.ffn(site, x)
    }

    fn attention(
        &mut self,
        site: &AttentionSite<'_>,
        inputs: Vec<AttentionInputs>,
        past: Option<&mut KvCache>,
    ) -> Result<Tensor<2>, ExecutorError> {
        let o = site.attention.attend(inputs, past);
        let ([tokens, width], device) = (o.dims(), o.device());
        let map = into_values(site.attention.output_map());
        let shape = site.attention.shape();
        let k = ((shape.heads as f64 * (1.0 - self.sparsity)).round() as usize).max(1);
        let d_model = map.len() / width;
        let mut o = into_values(o);
        for token in o.chunks_exact_mut(width) {
            let size = |head: usize| -> f64 {
                let own = head * shape.head_dim..(head + 1) * shape.head_dim;
                let square = |x: f64| x * x;
                let squares: f64 = match self.score {
                    HeadScore::Magnitude => token[own].iter().map(|o| square(f64::from(*o))).sum(),
                    _ => (0..d_model)
                        .map(|column| {
                            let of =
                                |row: usize| f64::from(token[row] * map[row * d_model + column]);
                            square(own.clone().map(of).sum())
                        })
                        .sum(),
                };
                squares.sqrt()
            };
            let mut order: Vec<usize> = (0..shape.heads).collect();
            let sizes: Vec<f64> = order.iter().map(|head| size(*head)).collect();
            order.sort_by(|a, b| sizes[*b].total_cmp(&sizes[*a]).then(a.cmp(b)));
            for head in &order[k..] {
                token[head * shape.head_dim..(head + 1) * shape.head_dim].fill(0.0);
            }
        }
        Ok(models::matrix(o, [tokens, width], &device))
    }
}

#[test]
fn every_family_equals_the_naive_way() {
    for name in FAMILIES {
        let model = model(name);
        let ids = ids(model.as_ref(), 20);
        for score in [HeadScore::Magnitude, HeadScore::Impact] {
            let found = run(model.as_ref(), dynamic(score, 0.5), &ids);
            let mut naive = Naive { score, sparsity: 0.5 };
            let expected = model.forward(&Batch::new([ids.as_slice()]), &mut naive).unwrap();
            let difference = vector::worst(&found, &into_values(expected));
            assert!(difference < 1e-4, "{name}, {score:?}: {difference:e}");
        }
    }
}

#[test]
fn nothing_dropped_is_dense_bit_for_bit() {
    for name in FAMILIES {
        let model = model(name);
        let ids = ids(model.as_ref(), 20);
        let dense = into_values(model.forward(&Batch::new([ids.as_slice()]), &mut Dense).unwrap());
        for score in [HeadScore::Magnitude, HeadScore::Impact, HeadScore::Random] {
            assert_eq!(run(model.as_ref(), dynamic(score, 0.0), &ids), dense, "{name}");
        }
    }
}

/// Token by token, and several sequences in one batch, give what each whole sequence gives.
#[test]
fn pieces_and_batches_do_not_matter() {
    for name in FAMILIES {
        let model = model(name);
        let ids = ids(model.as_ref(), 14);
        let selection = dynamic(HeadScore::Impact, 0.5);
        let whole = run(model.as_ref(), selection, &ids);
        let mut executor = HeadSkipping::new(selection, model.attentions().len());
        assert!(executor.takes_pieces());
        let (mut cache, mut pieces) = (model.new_cache(), Vec::new());
        for id in &ids {
            pieces.extend(into_values(model.extend(&[*id], &mut cache, &mut executor).unwrap()));
        }
        assert!(vector::worst(&pieces, &whole) < 1e-4, "{name}");
        let batch = Batch::new([&ids[..5], &ids[..]]);
        let mut executor = HeadSkipping::new(selection, model.attentions().len());
        let both = into_values(model.forward(&batch, &mut executor).unwrap());
        let second = &both[both.len() - whole.len()..];
        assert!(vector::worst(second, &whole) < 1e-4, "{name}");
        let shares = executor.take_shares();
        assert_eq!(shares.len(), 2);
        assert!(shares.iter().all(|own| own.kept < own.entries && own.kept_energy < own.energy));
    }
    let windowed = selection(HeadScore::Impact, 0.5, 4, Rule::WindowMean);
    assert!(!HeadSkipping::new(windowed, 1).takes_pieces());
    assert!(!HeadSkipping::new(dynamic(HeadScore::Random, 0.5), 1).takes_pieces());
}

/// One window as long as the sequence is one set; the rules by which windows are drawn keep sets nested.
#[test]
fn what_is_kept_grows_as_less_is_dropped() {
    let model = model("llama");
    let ids = ids(model.as_ref(), 20);
    for score in [HeadScore::Magnitude, HeadScore::Random] {
        let kept = |sparsity| {
            let rule = Rule::WindowMean;
            let selection = selection(score, sparsity, 32, rule);
            let mut executor = HeadSkipping::new(selection, model.attentions().len());
            model.forward(&Batch::new([ids.as_slice()]), &mut executor).unwrap();
            let shares = executor.take_shares()[0];
            (shares.kept, shares.kept_energy)
        };
        let levels: Vec<_> = [0.75, 0.5, 0.25, 0.0].map(kept).to_vec();
        assert!(levels.windows(2).all(|pair| pair[0].0 < pair[1].0), "{levels:?}");
    }
}

/// The rule `calibration` holds the given set of every site, whatever the score says.
#[test]
fn given_sets_are_held() {
    struct Held(Vec<Vec<u32>>);

    impl Executor for Held {
        fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
            Dense.ffn(site, x)
        }

        fn attention(
            &mut self,
            site: &AttentionSite<'_>,
            inputs: Vec<AttentionInputs>,
            past: Option<&mut KvCache>,
        ) -> Result<Tensor<2>, ExecutorError> {
            let (o, shape) = (site.attention.attend(inputs, past), site.attention.shape());
            let (sizes, device) = (o.dims(), o.device());
            let mut o = into_values(o);
            for (index, own) in o.chunks_exact_mut(shape.head_dim).enumerate() {
                if !self.0[site.index].contains(&((index % shape.heads) as u32)) {
                    own.fill(0.0);
                }
            }
            Ok(models::matrix(o, sizes, &device))
        }
    }

    for name in FAMILIES {
        let model = model(name);
        let ids = ids(model.as_ref(), 20);
        let of_site = |(site, attention): (usize, &&models::Attention)| {
            let heads = attention.shape().heads as u32;
            (0..heads).filter(|head| (head + site as u32) % 2 == 1).collect::<Vec<u32>>()
        };
        let sets: Vec<Vec<u32>> = model.attentions().iter().enumerate().map(of_site).collect();
        let expected = model.forward(&Batch::new([ids.as_slice()]), &mut Held(sets.clone()));
        let expected = into_values(expected.unwrap());
        for score in [HeadScore::Impact, HeadScore::Taylor, HeadScore::Random] {
            let selection = selection(score, 0.5, 4, Rule::Calibration);
            let executor = HeadSkipping::new(selection, model.attentions().len());
            let mut executor = executor.with_sets(sets.clone());
            let found = model.forward(&Batch::new([ids.as_slice()]), &mut executor).unwrap();
            assert_eq!(into_values(found), expected, "{name}, {score:?}");
            assert_eq!(executor.take_shares()[0].reached_sparsity(), 0.5, "{name}");
        }
    }
}
