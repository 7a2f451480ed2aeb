//! A real model against the check values of docs/SPEC.md section 7: SmolLM2-135M-Instruct on the
//! first 4 windows of WikiText-2 test and the first 300 items of LAMBADA, from an independent PyTorch
//! implementation.
//!
//! Gemma 3 270M likewise, on the first 2 windows of 512 ids.
//!
//! Runs where the weights (`cargo xtask fetch smollm2`, `gemma3-270m`) and the texts (`SLIM_DATA` or
//! `data/texts`) are; says so where it skips, and fails instead where `SLIM_REQUIRE` is set.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::print_stdout, reason = "what a test saw, and why it skipped")]

mod common;

use common::{
    real::{
        Asked, LAMBADA, TEST, all_there, answer, calibration, close, data, gemma, gguf, ready,
        request,
    },
    run, stderr,
};
use importance::{Calibrating, Impact, Magnitude, Score, SiteWeights, Weight};
use models::{Batch, Device, load};
use plan::{Policy, Protocol, Recipe, Rule, Score as ScoreName, Treatment, TreatmentSpec};
use tables::{Store, read_lens};

fn perplexity(treatment: Treatment) -> f64 {
    // Eight windows of calibration text give the page's 132.80, in PyTorch (132.804) as here; the four
    // that it names give 152.93 in both.
    let calibration = treatment.needs_calibration().then(|| calibration(8, None));
    let asked = Asked { calibration, ..Asked::of(gguf(), TEST, treatment.into()) };
    let answer = answer(asked);
    assert_eq!(answer["n_ids"], 304_978, "ids of the whole text: digits one by one");
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
    let answer = answer(Asked {
        protocol: Protocol::LambadaOpenai,
        limit: 300,
        ..Asked::of(gguf(), LAMBADA, Treatment::dense(1).into())
    });
    assert_eq!((&answer["n_correct"], &answer["n_items"]), (&98.into(), &300.into()));
    close("word perplexity", answer["word_perplexity"].as_f64().unwrap(), 43.71, 0.001);
}

/// A Gemma: a SentencePiece vocabulary of 262,144 pieces in the GGUF file, blocks of Q4_K. The ids are
/// those of transformers and of llama.cpp, the perplexities those of transformers (5.23, f32) on the
/// expanded weights.
#[test]
fn gemma_with_a_sentencepiece_vocabulary() {
    // A quarter of a gigabyte: not even CI must have it.
    if !gemma().is_file() {
        println!("skipped: no Gemma here: run `cargo xtask fetch gemma3-270m`");
        return;
    }
    if !all_there(&[data(TEST)]) {
        return;
    }
    let perplexity = |treatment| {
        let protocol = Protocol::Perplexity { window_tokens: 512 };
        let answer = answer(Asked {
            protocol,
            limit: 2,
            ..Asked::of(gemma(), TEST, Treatment::into(treatment))
        });
        assert_eq!(answer["n_ids"], 292_283, "ids of the whole text");
        answer["perplexity"].as_f64().unwrap()
    };
    close("Gemma, dense", perplexity(Treatment::dense(1)), 36.016, 0.001);
    // One set a token hangs on near ties, see `per_token`; the figures have three digits.
    let dynamic = |sparsity| perplexity(magnitude(Policy::Dynamic, sparsity, None, None));
    close("Gemma, dynamic κ=.5", dynamic(0.5), 36.2, 0.004);
    close("Gemma, dynamic κ=.9", dynamic(0.9), 67.5, 0.02);
}

/// Easy tokens: the share whose argmax no longer changes from a layer on, of the layers that the page names.
const SETTLED: [(usize, f64); 5] = [(9, 0.019), (19, 0.089), (24, 0.263), (27, 0.415), (28, 0.531)];

/// Shares have three decimals; a share of 4,096 tokens moves by single tokens at near ties.
#[test]
fn easy_tokens() {
    if !ready() {
        return;
    }
    let step = "observe=layers,observation=lens,threshold=0.95".parse().unwrap();
    let asked = Asked::of(gguf(), TEST, Recipe::new(vec![step], 1).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let order = request(asked).order(folder.path().join("results"));
    let output = run(&order, folder.path());
    assert!(output.status.success(), "{}", stderr(&output));
    let store = Store::open(&order.results).unwrap();
    let ordered = &order.cells[0];
    let rows = read_lens(&store.result_path(&ordered.id, &ordered.cell).unwrap()).unwrap();
    assert_eq!(rows.len(), 30);
    for (layer, expected) in SETTLED {
        let found = rows[layer].settled as f64 / rows[layer].tokens as f64;
        println!("layer {layer}: {found:.4} settled, check value {expected}");
        assert!((found - expected).abs() < 0.001, "layer {layer}: {found}, expected {expected}");
    }
    let leaving = rows.iter().zip(1..).map(|(row, layers)| layers * row.leaving.unwrap());
    let layers = leaving.sum::<u64>() as f64 / rows[0].tokens as f64;
    close("layers a token at τ=.95", layers, 19.92, 0.002);
}

/// A token that leaves as soon as it seems sure is ruined.
#[test]
fn early_exit() {
    if !ready() {
        return;
    }
    let step = "skip=exit,method=confidence,threshold=0.95,mode=full-context".parse().unwrap();
    let answer = answer(Asked::of(gguf(), TEST, Recipe::new(vec![step], 1).unwrap()));
    close("exit τ=.95", answer["perplexity"].as_f64().unwrap(), 4.015e6, 0.05);
    close("layers a token", answer["layers_per_token"].as_f64().unwrap(), 19.92, 0.002);
}

/// Spearman's ρ between scores, mean of the 30 sites.
#[test]
fn correlations() {
    if !ready() {
        return;
    }
    let path = gguf();
    let vocabulary = models::gguf_vocabulary(&path).unwrap();
    let tokenizer = corpora::Tokenizer::from_gguf(&corpora::Metadata {
        path: &path,
        model: &vocabulary.model,
        pre_tokenizer: vocabulary.pre_tokenizer.as_deref(),
        tokens: &vocabulary.tokens,
        scores: vocabulary.scores.as_deref(),
        kinds: vocabulary.kinds.as_deref(),
        merges: vocabulary.merges.as_deref(),
        charsmap: vocabulary.charsmap.as_deref(),
        bos: vocabulary.bos,
        eos: vocabulary.eos,
        unknown: vocabulary.unknown,
        add_bos: vocabulary.add_bos,
        add_eos: vocabulary.add_eos,
        add_space_prefix: vocabulary.add_space_prefix,
        remove_extra_whitespaces: vocabulary.remove_extra_whitespaces,
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
