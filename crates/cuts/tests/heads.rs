//! Attention heads that are cut for good, on every family: a cut model is the masked one, sets are nested, and
//! what is stored is what is left.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::print_stdout, reason = "what a test saw")]

mod common;

use std::sync::Arc;

use common::{families, logits, matrices, model};
use cuts::{
    BITS, BitCut, Index, Rounding, Slim, WEIGHTS, Watch, WeightCut, cut_heads, head_sets,
    kept_count,
};
use importance::{AllHeadEffects, Calibrating, Calibration, Gradients, HEAD_NAMES, by_head_name};
use models::{
    AttentionInputs, AttentionSite, Batch, Dense, Device, Executor, ExecutorError, FfnSite,
    KvCache, Layered, Model, Tensor, Values, into_values, load,
};
use vector::worst;

const SHARES: [f64; 4] = [0.0, 0.25, 0.5, 0.75];

fn windows(model: &dyn Model) -> Vec<Vec<u32>> {
    let vocabulary = model.facts().vocabulary as u32;
    (0..3_u32).map(|w| (0..20).map(|t| (w * 7 + t * t + t * w) % vocabulary).collect()).collect()
}

fn calibrated(model: &dyn Model) -> Calibration {
    let effects = Arc::new(AllHeadEffects::new(model.attentions().len()));
    Calibration::sum(windows(model).iter().map(|window| {
        let mut calibrating = Calibrating::with_heads(Arc::clone(&effects));
        model.forward(&Batch::new([window.as_slice()]), &mut calibrating).unwrap();
        calibrating.finish()
    }))
}

/// The golden models that have attentions, with what their heads gave.
fn attending() -> Vec<(String, Slim, Calibration)> {
    let all = families().into_iter().map(|folder| {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let model = model(&folder);
        let calibration = calibrated(model.as_ref());
        (name, Slim::dense(model), calibration)
    });
    all.filter(|(_, slim, _)| !slim.model.attentions().is_empty()).collect()
}

fn sets(slim: &Slim, calibration: &Calibration, score: &str, share: f64) -> Vec<Vec<u32>> {
    let score = by_head_name(score).unwrap();
    head_sets(slim.model.as_ref(), calibration, score.as_ref(), share, 1)
}

/// Whether no head goes; of two heads a quarter is none.
fn is_whole(slim: &Slim, kept: &[Vec<u32>]) -> bool {
    let mut attentions = slim.model.attentions().into_iter().zip(kept);
    attentions.all(|(attention, kept)| attention.shape().heads == kept.len())
}

/// Makes zeros of what the other heads give.
struct Masked<'a>(&'a [Vec<u32>]);

impl Executor for Masked<'_> {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        Dense.ffn(site, x)
    }

    fn attention(
        &mut self,
        site: &AttentionSite<'_>,
        inputs: Vec<AttentionInputs>,
        past: Option<&mut KvCache>,
    ) -> Result<Tensor<2>, ExecutorError> {
        let shape = site.attention.shape();
        let mut o = Values::of(site.attention.attend(inputs, past));
        for (i, o) in o.iter_mut().enumerate() {
            let head = (i / shape.head_dim % shape.heads) as u32;
            if !self.0[site.index].contains(&head) {
                *o = 0.0;
            }
        }
        Ok(o.into_tensor())
    }
}

fn masked(model: &dyn Model, kept: &[Vec<u32>], ids: &[u32]) -> Vec<f32> {
    into_values(model.logits(model.forward(&Batch::new([ids]), &mut Masked(kept)).unwrap()))
}

/// Logits of these models are about 1; sums change their order where heads are gone: 1e-5.
#[test]
fn a_cut_model_is_the_masked_one() {
    let (mut checked, mut filled) = (0, 0);
    for (name, slim, calibration) in attending() {
        let dense = slim.model.as_ref();
        let ids: Vec<u32> = (0..19).map(|i| (i * i + 3 * i + 5) % 53).collect();
        let whole = logits(dense, &ids);
        for score in ["magnitude", "impact", "random"] {
            for share in SHARES {
                let kept = sets(&slim, &calibration, score, share);
                let cut = cut_heads(&slim, &kept);
                let found = logits(cut.model.as_ref(), &ids);
                if is_whole(&slim, &kept) {
                    assert!(share < 0.5, "{name}");
                    assert_eq!(found, whole, "{name}: bit for bit");
                    assert_eq!(cut.storage, slim.storage, "{name}");
                    continue;
                }
                let apart = worst(&found, &masked(dense, &kept, &ids));
                assert!(apart < 1e-5, "{name}, {score}, {share}: {apart:e}");
                assert!(worst(&found, &whole) > 1e-3, "{name}: something was cut");
                let (mut cache, mut pieces) = (cut.model.new_cache(), Vec::new());
                for piece in ids.chunks(5) {
                    let hidden = cut.model.extend(piece, &mut cache, &mut Dense).unwrap();
                    pieces.extend(into_values(cut.model.logits(hidden)));
                }
                let apart = worst(&found, &pieces);
                assert!(apart < 1e-4, "{name}, piece by piece: {apart:e}");
                let attentions = cut.model.attentions().into_iter().zip(&kept);
                filled += attentions.filter(|(own, kept)| own.shape().heads > kept.len()).count();
                checked += 1;
            }
        }
    }
    println!("{checked} cut models, {filled} attentions with fillings");
    assert!(checked > 100 && filled > 10);
}

#[test]
fn sets_are_nested_and_as_large_as_the_rule_says() {
    for (name, slim, calibration) in attending() {
        for score in ["magnitude", "impact", "random"] {
            let by_share = SHARES.map(|share| sets(&slim, &calibration, score, share));
            for (share, kept) in SHARES.iter().zip(&by_share) {
                for (attention, kept) in slim.model.attentions().iter().zip(kept) {
                    let k = kept_count(attention.shape().heads, *share);
                    assert_eq!(kept.len(), k, "{name}");
                    assert!(kept.is_sorted(), "{name}");
                }
            }
            for pair in by_share.windows(2) {
                for (more, fewer) in pair[0].iter().zip(&pair[1]) {
                    assert!(fewer.iter().all(|head| more.contains(head)), "{name}, {score}");
                }
            }
        }
    }
}

/// Numbers that go with heads, from the sizes of the dense model alone. A bias or adapter of a filling stays.
fn gone(model: &dyn Model, kept: &[Vec<u32>]) -> u64 {
    let blocks = model.attention_blocks();
    let mut gone = 0;
    for (site, attention) in model.attentions().into_iter().enumerate() {
        let shape = attention.shape();
        let per_key = shape.heads / shape.kv_heads;
        let left: Vec<usize> = (0..shape.kv_heads)
            .map(|key| kept[site].iter().filter(|head| **head as usize / per_key == key).count())
            .filter(|count| *count > 0)
            .collect();
        let heads = (shape.heads - kept[site].len()) * shape.head_dim;
        let slots = (shape.heads - left.iter().max().unwrap() * left.len()) * shape.head_dim;
        let keys = (shape.kv_heads - left.len()) * shape.head_dim;
        let (d_in, _) = attention.query.widths();
        let (_, d_model) = attention.output.widths();
        if !blocks[..site].contains(&blocks[site]) {
            gone += heads * (d_in + d_model) + 2 * keys * d_in;
            gone += if attention.query.bias.is_some() { slots + 2 * keys } else { 0 };
        }
        let rank = attention.query.adapter.as_ref().map_or(0, |adapter| adapter.down.dims()[1]);
        gone += rank * (slots + 2 * keys);
    }
    gone as u64
}

#[test]
fn what_is_stored_is_what_is_left() {
    let mut with_adapters = 0;
    for (name, slim, calibration) in attending() {
        let whole = slim.storage.parameters();
        assert_eq!(whole, slim.model.facts().parameters as u64, "{name}");
        for score in ["magnitude", "random"] {
            for share in SHARES {
                let kept = sets(&slim, &calibration, score, share);
                let cut = cut_heads(&slim, &kept);
                let gone = gone(slim.model.as_ref(), &kept);
                assert_eq!(cut.storage.parameters(), whole - gone, "{name}, {score}, {share}");
                assert_eq!(gone == 0, is_whole(&slim, &kept), "{name}");
                assert!(cut.storage.bytes() <= slim.storage.bytes(), "{name}");
                for (stored, matrix) in matrices(cut.model.as_ref())
                    .values()
                    .map(|matrix| (cut.storage.matrices[&*matrix.name], matrix))
                {
                    assert_eq!((stored.rows, stored.columns), (matrix.rows, matrix.columns));
                    let zeros = matrix.values.contains(&0.0);
                    assert_eq!(stored.index == Index::Bitmap, zeros, "{name}: {}", matrix.name);
                }
            }
        }
        let adapted = |own: &&models::Attention| own.query.adapter.is_some();
        with_adapters += slim.model.attentions().into_iter().filter(adapted).count();
    }
    assert!(with_adapters > 0, "some family has them");
}

/// Attentions that share weights keep one set, chosen on the tokens of all their uses; so it is where layers
/// went before.
#[test]
fn a_shared_attention_keeps_one_set() {
    let mut seen = 0;
    for (name, slim, calibration) in attending() {
        let blocks = slim.model.attention_blocks();
        let kept = sets(&slim, &calibration, "impact", 0.5);
        for (site, block) in blocks.iter().enumerate() {
            let first = blocks.iter().position(|other| other == block).unwrap();
            assert_eq!(kept[site], kept[first], "{name}");
            seen += usize::from(first != site);
        }
        let cut = cut_heads(&slim, &kept);
        let layers = slim.model.facts().layers;
        let Ok(left) = Layered::without(Arc::from(cut.shared().model), &[layers - 1]) else {
            assert_eq!(layers, 1, "{name}");
            continue;
        };
        let attentions = left.attentions();
        assert_eq!(left.attention_blocks(), blocks[..attentions.len()], "{name}");
        for (own, of_cut) in attentions.iter().zip(cut.model.attentions()) {
            assert_eq!(own.shape().heads, of_cut.shape().heads, "{name}");
        }
    }
    assert!(seen > 0, "some family shares an attention");
}

/// Heads are cut from what other steps left, and what they leave stays gone in later steps.
#[test]
fn steps_combine() {
    let rounding = Rounding { bits: 4, group: 16 };
    for (name, slim, calibration) in attending() {
        let kept = sets(&slim, &calibration, "random", 0.5);
        let heads = cut_heads(&slim, &kept);
        let before = matrices(heads.model.as_ref());
        let text = windows(slim.model.as_ref());
        let watch = Watch::default();
        let mut later = Vec::new();
        for (_, method) in BITS {
            later.push(BitCut { method, rounding }.apply(heads.shared(), &text, &watch));
        }
        for (_, method) in WEIGHTS {
            let half = WeightCut::new(method, cuts::Pattern::Share(0.5));
            later.push(half.apply(heads.shared(), &text, &watch));
        }
        for later in later {
            let later = later.unwrap().unwrap();
            for (before, after) in before.values().zip(matrices(later.model.as_ref()).values()) {
                let pairs = before.values.iter().zip(&after.values);
                let stays = pairs.clone().all(|(a, b)| *a != 0.0 || *b == 0.0);
                assert!(stays, "{name}: {}", after.name);
            }
            assert!(later.storage.bytes() < heads.storage.bytes(), "{name}");
        }
        // The other way round, on a model with zeros of its own and scored on itself.
        let magnitude = cuts::WeightMethod::named("magnitude").unwrap();
        let half = WeightCut::new(magnitude, cuts::Pattern::Share(0.5));
        let half = half.apply(slim.shared(), &[], &watch).unwrap().unwrap();
        let kept = sets(&half, &calibrated(half.model.as_ref()), "impact", 0.5);
        let both = cut_heads(&half, &kept);
        let nonzeros = |values: &[f32]| values.iter().filter(|value| **value != 0.0).count() as u64;
        for matrix in matrices(both.model.as_ref()).values() {
            let stored = both.storage.matrices[&*matrix.name];
            assert_eq!(stored.kept, nonzeros(&matrix.values), "{name}: {}", matrix.name);
        }
        let ids = &text[0];
        let apart =
            worst(&logits(both.model.as_ref(), ids), &masked(half.model.as_ref(), &kept, ids));
        assert!(apart < 1e-5, "{name}: {apart:e}");
    }
}

/// Scores, kept sets and logits of transformers with hooks in float64 (`golden/heads/make.py`): 1e-4 of the
/// largest score of an attention, and 1e-4 absolute of logits up to 4.
#[test]
fn static_heads_are_those_of_transformers() {
    for name in ["llama", "qwen2", "mistral", "gemma3"] {
        let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let expected =
            common::tensors::read(&golden.join("heads").join(format!("{name}.safetensors")));
        let folder = golden.join("../../../models/tests/golden").join(name);
        let slim = Slim::dense(model(&folder));
        let recording = load(&folder, &Device::flex().autodiff()).unwrap().model;
        let windows = expected["ids"].ids();
        let gradients = windows.iter().map(|ids| Gradients::of(recording.as_ref(), ids).unwrap());
        let of_gradients =
            Calibration::of_gradients(recording.as_ref(), &Gradients::sum(gradients));
        let effects = Arc::new(AllHeadEffects::new(slim.model.attentions().len()));
        let of_text = Calibration::sum(windows.iter().map(|ids| {
            let mut calibrating = Calibrating::with_heads(Arc::clone(&effects));
            slim.model.forward(&Batch::new([ids.as_slice()]), &mut calibrating).unwrap();
            calibrating.finish()
        }));
        let test = expected["test"].ids().concat();
        for score in HEAD_NAMES.into_iter().filter(|name| *name != "random") {
            let known = if score == "taylor" { &of_gradients } else { &of_text };
            let scores = &expected[&format!("scores/{score}")];
            let heads = scores.shape[1];
            for (site, expected) in scores.values.chunks(heads).enumerate() {
                let found = known.score_heads(site, by_head_name(score).unwrap().as_ref(), 1);
                let largest = vector::largest(expected.iter().copied());
                let apart = worst(&found, expected) / largest;
                assert!(apart < 1e-4, "{name}, {score}, {site}: {found:?}, {expected:?}");
            }
            for share in ["0.25", "0.5", "0.75"] {
                let kept = sets(&slim, known, score, share.parse().unwrap());
                assert_eq!(
                    kept,
                    expected[&format!("kept/{score}/{share}")].ids(),
                    "{name} {score}"
                );
                let found = logits(cut_heads(&slim, &kept).model.as_ref(), &test);
                let logits = expected[&format!("logits/{score}/{share}")].singles();
                let apart = worst(&found, &logits);
                assert!(apart < 1e-4, "{name}, {score}, {share}: {apart:e}");
                println!("{name}, {score}, {share}: logits differ by {apart:e}");
            }
        }
    }
}
