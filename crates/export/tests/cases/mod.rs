//! Every kind of cut on the small random models of every family, for tests here and for the example that
//! writes them for transformers to read.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(dead_code, reason = "not all of its users need all of it")]

use std::path::{Path, PathBuf};

use cuts::{
    BitCut, BitMethod, FitInputs, LayerDrop, Linearise, LowRankCut, LowRankMethod, Pattern,
    Rounding, Slim, Watch, WeightCut, WeightMethod, cut, cut_heads, cut_states, drop_layers,
    linearise, rotate,
};
use models::{Batch, Dense, Device, Model, into_values, load};

/// So many bits, and groups that fill the inputs of every matrix.
pub(crate) fn rounding(slim: &Slim, bits: u32) -> Rounding {
    let fills = |group: &usize| {
        slim.storage.matrices.values().all(|matrix| matrix.columns.is_multiple_of(*group))
    };
    Rounding { bits, group: [32, 16, 8, 6, 4, 3, 2].into_iter().find(fills).unwrap_or(1) }
}

/// Every folder with a model, but those that hold an older or odd form of another one.
pub(crate) fn families() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden");
    let entries = std::fs::read_dir(&golden).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> =
        entries.filter(|path| path.join("expected.safetensors").is_file()).collect();
    folders.sort();
    folders
}

/// Small GGUF files, one of every family of that format.
pub(crate) fn gguf_files() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden/gguf");
    ["llama", "llama-rope", "qwen2", "qwen3", "gemma3"]
        .map(|family| golden.join(format!("{family}.gguf")))
        .to_vec()
}

pub(crate) fn name(folder: &Path) -> String {
    folder.file_name().unwrap().to_string_lossy().into_owned()
}

pub(crate) fn model(folder: &Path) -> Box<dyn Model> {
    load(folder, &Device::flex()).unwrap_or_else(|e| panic!("{}: {e}", folder.display())).model
}

/// Ids that the model knows.
pub(crate) fn ids(model: &dyn Model) -> Vec<u32> {
    let vocabulary = model.facts().vocabulary as u32;
    (0..24).map(|i| (i * i + 3 * i + 5) % vocabulary).collect()
}

/// `[tokens, vocabulary]`.
pub(crate) fn logits(model: &dyn Model, ids: &[u32]) -> Vec<f32> {
    into_values(model.logits(model.forward(&Batch::new([ids]), &mut Dense).unwrap()))
}

/// The largest difference; NaN where one is NaN.
pub(crate) fn apart(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |most, own| if own.is_nan() || own > most { own } else { most })
}

fn windows(model: &dyn Model) -> Vec<Vec<u32>> {
    let vocabulary = model.facts().vocabulary as u32;
    (0..6_u32).map(|w| (0..24).map(|t| (w * 7 + t * t + t * w) % vocabulary).collect()).collect()
}

fn after_surgery(slim: &Slim, model: Box<dyn Model>) -> Slim {
    Slim { storage: slim.storage.after_surgery(&*model), model }
}

/// Every second neuron of every block.
pub(crate) fn half_of_neurons(slim: &Slim) -> Option<Slim> {
    let sets: Vec<Vec<u32>> = slim
        .model
        .ffns()
        .iter()
        .map(|ffn| (0..ffn.neurons() as u32).step_by(2).collect())
        .collect();
    (!sets.is_empty()).then(|| after_surgery(slim, cut(&*slim.model, &sets)))
}

/// Two thirds of the channels, of each group its own.
pub(crate) fn fewer_channels(slim: &Slim) -> Option<Slim> {
    let sets: Vec<Vec<u32>> = slim
        .model
        .mixers()
        .iter()
        .map(|mixer| {
            let shape = mixer.shape();
            let channels = shape.channels as u32;
            let goes = |n: &u32| (n % channels + n / channels).is_multiple_of(3);
            (0..shape.mixed() as u32).filter(|n| !goes(n)).collect()
        })
        .collect();
    (!sets.is_empty()).then(|| after_surgery(slim, cut_states(&*slim.model, &sets)))
}

/// Channels such that layers keep different numbers of them.
pub(crate) fn ragged_channels(slim: &Slim) -> Option<Slim> {
    let mixers = slim.model.mixers();
    let sets: Vec<Vec<u32>> = mixers
        .iter()
        .enumerate()
        .map(|(site, mixer)| {
            let half = mixer.shape().mixed() / 2;
            (0..half.saturating_sub(site).max(1) as u32).collect()
        })
        .collect();
    (mixers.len() > 1).then(|| after_surgery(slim, cut_states(&*slim.model, &sets)))
}

/// One query head of every key head, the same in every layer; or, `ragged`, in the first layer alone.
pub(crate) fn fewer_heads(slim: &Slim, ragged: bool) -> Option<Slim> {
    let attentions = slim.model.attentions();
    let blocks = slim.model.attention_blocks();
    let sets: Vec<Vec<u32>> = attentions
        .iter()
        .zip(&blocks)
        .map(|(attention, block)| {
            let shape = attention.shape();
            let group = shape.heads / shape.kv_heads;
            let all = 0..shape.heads as u32;
            match (ragged && *block != blocks[0], group) {
                (true, _) => all.collect(),
                // Without groups every second.
                (false, 1) => all.step_by(2).collect(),
                (false, group) => all.step_by(group).collect(),
            }
        })
        .collect();
    let is_ragged = blocks.iter().any(|block| *block != *blocks.first().unwrap_or(&0));
    (!sets.is_empty() && (!ragged || is_ragged)).then(|| cut_heads(slim, &sets))
}

pub(crate) fn sparse(slim: &Slim, pattern: Pattern) -> Slim {
    let cut = WeightCut::new(WeightMethod::named("magnitude").unwrap(), pattern);
    cut.apply(slim.shared(), &[], &Watch::default()).unwrap().unwrap()
}

pub(crate) fn rounded(slim: &Slim, method: &str, rounding: Rounding) -> Slim {
    let cut = BitCut { method: BitMethod::named(method).unwrap(), rounding };
    cut.apply(slim.shared(), &windows(&*slim.model), &Watch::default()).unwrap().unwrap()
}

pub(crate) fn without_layers(slim: &Slim, layers: &[usize]) -> Slim {
    let cut = LayerDrop { score: cuts::DropScore::Random, n: layers.len(), seed: 1 };
    drop_layers(slim, &cut, &[], &Watch::default()).unwrap().unwrap().slim
}

pub(crate) fn linearised(slim: &Slim) -> Slim {
    let cut = Linearise { layers: &[0], rank: None, inputs: FitInputs::Drifted };
    let windows = windows(&*slim.model);
    linearise(slim, &cut, &windows, &[], &Watch::default()).unwrap().unwrap().slim
}

/// The cuts that a model of this family can have, each alone and some together, by name.
pub(crate) fn cuts_of(dense: &Slim) -> Vec<(&'static str, Slim)> {
    let mut all = vec![("dense", dense.shared())];
    let mut add = |name, slim: Option<Slim>| all.extend(slim.map(|slim| (name, slim)));
    let neurons = half_of_neurons(dense);
    add("neurons-bits", neurons.as_ref().map(|own| rounded(own, "rtn", rounding(own, 4))));
    add("neurons", neurons);
    add("state", fewer_channels(dense));
    add("heads", fewer_heads(dense, false));
    add("heads-ragged", fewer_heads(dense, true));
    add("weights", Some(sparse(dense, Pattern::Share(0.5))));
    let divides = dense.storage.matrices.values().all(|own| own.columns.is_multiple_of(4));
    add("weights-2-4", divides.then(|| sparse(dense, Pattern::NofM { n: 2, m: 4 })));
    add("bits", Some(rounded(dense, "rtn", rounding(dense, 4))));
    add("bits-gptq", Some(rounded(dense, "gptq", rounding(dense, 3))));
    let low = LowRankCut::new(LowRankMethod::named("svd").unwrap(), 3);
    add("low-rank", Some(low.apply(dense.shared(), &[], &Watch::default()).unwrap().unwrap()));
    add("rotate", rotate(dense, 7).ok());
    let layers = dense.model.facts().layers;
    add("layers", (layers > 1).then(|| without_layers(dense, &[0])));
    add("layers-2", (layers > 2).then(|| without_layers(dense, &[0, 1])));
    let all_at_once = (layers > 1).then(|| {
        let less = without_layers(dense, &[0]);
        let less = half_of_neurons(&less).unwrap_or(less);
        let less = fewer_channels(&less).unwrap_or(less);
        sparse(&less, Pattern::Share(0.3))
    });
    add("all-at-once", all_at_once);
    all
}
