//! A real model against the check values of the specification (section 7): SmolLM2-135M-Instruct on the
//! first 4 windows of WikiText-2 test and the first 300 items of LAMBADA, from an independent PyTorch
//! implementation.
//!
//! Runs where the weights (`cargo xtask fetch smollm2`) and the texts (`SLIM_DATA` or
//! `../shared/data`) are; says so where it skips.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::print_stdout, reason = "what a test saw, and why it skipped")]

mod common;

use std::{path::PathBuf, process::Command};

use common::repository;
use importance::{Calibrating, Impact, Magnitude, Score, SiteWeights, Weight};
use models::{Batch, Device, load};
use plan::{
    CalibrationText, CellRequest, DeviceName, Policy, Protocol, Rule, Score as ScoreName,
    Treatment, TreatmentSpec,
};
use serde_json::Value;

fn gguf() -> PathBuf {
    let cache = std::env::var_os("SLIM_CACHE");
    let cache = cache.map_or_else(|| repository().join("data/cache"), PathBuf::from);
    cache.join("SmolLM2-135M-Instruct.Q4_1.gguf")
}

fn data(file: &str) -> PathBuf {
    let folder = std::env::var_os("SLIM_DATA");
    let folder = folder.map_or_else(|| repository().join("../shared/data"), PathBuf::from);
    folder.join(file)
}

const TEST: &str = "wikitext2/wiki.test.raw";
const VALID: &str = "wikitext2/wiki.valid.raw";
const LAMBADA: &str = "lambada/lambada_test.jsonl";

/// Whether all that is needed is there; prints what is not.
fn ready() -> bool {
    let missing: Vec<PathBuf> = [gguf(), data(TEST), data(VALID), data(LAMBADA)]
        .into_iter()
        .filter(|p| !p.is_file())
        .collect();
    if !missing.is_empty() {
        println!("skipped: not here: {missing:?}");
    }
    missing.is_empty()
}

fn answer(
    dataset: &str,
    protocol: Protocol,
    limit: usize,
    treatment: Treatment,
    calibration: Option<CalibrationText>,
) -> Value {
    let request = CellRequest {
        model: gguf(),
        dataset: data(dataset),
        reading: plan::Reading::default(),
        protocol,
        treatment,
        limit: Some(limit),
        calibration,
        device: DeviceName::Cpu,
        time_steps: plan::TimeSteps::default(),
        cut: false,
        json: true,
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("request.json");
    std::fs::write(&file, serde_json::to_string(&request).unwrap()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_worker"))
        .args(["cell", "--request"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn perplexity(treatment: Treatment) -> f64 {
    // Eight windows of calibration text give the page's 132.80, in PyTorch (132.804) as here; the four
    // that it names give 152.93 in both.
    let calibration = treatment.needs_calibration().then(|| CalibrationText {
        path: data(VALID),
        reading: plan::Reading::default(),
        limit: Some(8),
    });
    let protocol = Protocol::Perplexity { window_tokens: 1024 };
    let answer = answer(TEST, protocol, 4, treatment, calibration);
    assert_eq!(answer["n_ids"], 304_986, "ids of the whole text");
    assert_eq!(answer["n_targets"], 4 * 1023);
    answer["perplexity"].as_f64().unwrap()
}

fn magnitude(
    policy: Policy,
    sparsity: f64,
    window: Option<usize>,
    rule: Option<Rule>,
) -> Treatment {
    Treatment::new(TreatmentSpec {
        score: Some(ScoreName::Magnitude),
        sparsity,
        window,
        rule,
        ..TreatmentSpec::of(policy, 1)
    })
    .unwrap()
}

fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
    let off = found / expected - 1.0;
    println!("{what}: {found:.4}, check value {expected}, off by {:+.3} %", 100.0 * off);
    assert!(off.abs() <= tolerance, "{what}: {found}, expected {expected} ± {tolerance}");
}

/// The dense model and collapsed ones, where every implementation agrees.
#[test]
fn dense_and_collapsed() {
    if !ready() {
        return;
    }
    close("dense", perplexity(Treatment::dense(1)), 23.083, 0.001);
    let window =
        |window, rule| perplexity(magnitude(Policy::Window, 0.9, Some(window), Some(rule)));
    close("W=1024 κ=.9 window-mean", window(1024, Rule::WindowMean), 7024.8, 0.02);
    close("W=4 κ=.9 window-mean", window(4, Rule::WindowMean), 501.0, 0.02);
    close("W=4 κ=.9 first-token", window(4, Rule::FirstToken), 27_949.0, 0.02);
}

/// One set for the whole run.
#[test]
fn static_cut() {
    if !ready() {
        return;
    }
    let found = perplexity(magnitude(Policy::Static, 0.5, None, None));
    close("static κ=.5", found, 132.80, 0.005);
}

/// One set a token. What comes out hangs on near ties: PyTorch itself gives 23.886 to 23.931 and 109.97
/// to 111.93 on this text, by the kernel it picks, by 1e-7 of noise on the embeddings, or in `f64`
/// (23.921 and 110.60). So the tolerance is the spread of correct programs about the page's figure; what
/// is decided exactly is decided on the small models of `evaluation/tests/golden`.
#[test]
fn per_token() {
    if !ready() {
        return;
    }
    let dynamic = |sparsity| perplexity(magnitude(Policy::Dynamic, sparsity, None, None));
    close("dynamic κ=.5", dynamic(0.5), 23.869, 0.004);
    close("dynamic κ=.9", dynamic(0.9), 111.547, 0.02);
}

/// The last-word task: the count is exact.
#[test]
fn lambada() {
    if !ready() {
        return;
    }
    let answer = answer(LAMBADA, Protocol::LambadaOpenai, 300, Treatment::dense(1), None);
    assert_eq!((&answer["n_correct"], &answer["n_items"]), (&98.into(), &300.into()));
    close("word perplexity", answer["word_perplexity"].as_f64().unwrap(), 43.71, 0.001);
}

/// Spearman's ρ between scores, mean of the 30 sites.
#[test]
fn correlations() {
    if !ready() {
        return;
    }
    let path = gguf();
    let vocabulary = models::gguf_vocabulary(&path).unwrap();
    let tokenizer = corpora::Tokenizer::from_byte_pairs(&corpora::BytePairs {
        path: &path,
        model: &vocabulary.model,
        pre_tokenizer: &vocabulary.pre_tokenizer,
        tokens: &vocabulary.tokens,
        control: &vocabulary.control,
        merges: &vocabulary.merges,
        bos: vocabulary.bos,
    })
    .unwrap();
    let text = corpora::Text::read(&data(TEST)).unwrap();
    let (windows, _) = corpora::windows(&text, &tokenizer, 1024, Some(4)).unwrap();
    let model = load(&path, &Device::flex()).unwrap().model;
    let mut calibrating = Calibrating::new();
    for window in &windows {
        model.forward(&Batch::new([window.as_slice()]), &mut calibrating).unwrap();
    }
    let calibration = calibrating.finish();
    let mean = |other: &dyn Score| {
        let rhos = model.ffns().into_iter().enumerate().map(|(site, ffn)| {
            let weights = SiteWeights::of(ffn);
            let score = |score: &dyn Score| calibration.score(site, score, &weights, 1);
            pearson(&ranks(&score(&Magnitude)), &ranks(&score(other)))
        });
        rhos.sum::<f64>() / 30.0
    };
    let (weight, impact) = (mean(&Weight), mean(&Impact));
    println!("ρ(magnitude, weight) = {weight:.4}, ρ(magnitude, impact) = {impact:.4}");
    assert!((weight - -0.158).abs() < 0.001);
    assert!((impact - 0.957).abs() < 0.001);
}

/// Ranks of distinct numbers.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    for (rank, index) in order.into_iter().enumerate() {
        ranks[index] = rank as f64;
    }
    ranks
}

fn pearson(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let sum = |x: &[f64], mx: f64, y: &[f64], my: f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum()
    };
    sum(a, mean_a, b, mean_b) / (sum(a, mean_a, a, mean_a) * sum(b, mean_b, b, mean_b)).sqrt()
}
