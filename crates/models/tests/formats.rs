//! The same model from every format, and the failure contract of loading: each message names the file
//! and the field or tensor.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::print_stdout, reason = "what a test saw")]

#[path = "../../checkpoints/tests/common/mod.rs"]
mod common;

use std::path::{Path, PathBuf};

use common::{Gguf, Sizes, bin_of, floats, safetensors, words};
use models::{Batch, Dense, Device, LoadError, LoadedModel, inspect, into_values, load};
use safetensors::{Dtype, SafeTensors};
use tempfile::TempDir;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn logits(model: &LoadedModel, ids: &[u32]) -> Vec<f32> {
    let hidden = model.model.forward(&Batch::new([ids]), &mut Dense).unwrap();
    into_values(model.model.logits(hidden))
}

/// Largest difference to the golden logits of a folder, over all of its sequences.
fn worst_logit(model: &LoadedModel, folder: &str) -> f64 {
    let bytes = std::fs::read(golden(folder).join("expected.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut worst = 0.0_f64;
    for name in file.names().iter().filter_map(|name| name.strip_prefix("ids.")) {
        let ids = file.tensor(&format!("ids.{name}")).unwrap();
        let ids = ids.data().as_chunks::<8>().0.iter().map(|id| i64::from_le_bytes(*id) as u32);
        let expected = file.tensor(&format!("logits.{name}")).unwrap();
        let expected = expected.data().as_chunks::<4>().0.iter().map(|v| f32::from_le_bytes(*v));
        let found = logits(model, &ids.collect::<Vec<_>>());
        worst = worst.max(vector::worst(&found, &expected.collect::<Vec<_>>()));
    }
    worst
}

fn model(path: &Path) -> LoadedModel {
    load(path, &Device::flex()).unwrap()
}

/// The same tolerance as for the folders themselves (`golden.rs`). `llama-rope` is not among them: the
/// converter cannot say its scaling (`golden/gguf/make.py`).
#[test]
fn gguf_gives_the_logits_of_transformers() {
    for folder in ["llama", "qwen2", "qwen3", "gemma3"] {
        let loaded = model(&golden("gguf").join(format!("{folder}.gguf")));
        let worst = worst_logit(&loaded, folder);
        println!("{folder}.gguf: largest difference of a logit {worst:e}; {}", loaded.conversions);
        assert!(worst < 1e-4, "{folder}: {worst:e}");
    }
}

#[test]
fn conversions_of_gguf_say_what_its_converter_did() {
    let conversions = |file: &str| model(&golden("gguf").join(file)).conversions.to_string();
    let expected = "F32: 16 tensors; F32, rows of each head reordered: 4 tensors";
    assert_eq!(conversions("llama.gguf"), expected);
    assert_eq!(conversions("gemma3.gguf"), "F32: 29 tensors; F32, 1 subtracted: 25 tensors");
}

/// A Hugging Face folder with other weights than those of its golden folder.
fn folder_with(config: &str, file: &str, weights: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    std::fs::write(folder.path().join(file), weights).unwrap();
    folder
}

#[test]
fn llama_from_a_pickle_gives_the_logits_of_transformers() {
    let tensors = floats(&golden("llama/model.safetensors"));
    let tensors: Vec<_> = tensors
        .iter()
        .map(|(name, (shape, v))| (name.as_str(), shape.clone(), v.clone()))
        .collect();
    let config = std::fs::read_to_string(golden("llama/config.json")).unwrap();
    let folder = folder_with(&config, "pytorch_model.bin", &bin_of(&tensors));
    let loaded = model(folder.path());
    assert!(worst_logit(&loaded, "llama") < 1e-4);
    assert_eq!(loaded.conversions.to_string(), "F32: 20 tensors");
}

#[test]
fn conversions_say_what_was_on_disk() {
    let loaded = model(&golden("llama-sharded"));
    assert_eq!(loaded.conversions.to_string(), "BF16 → F32: 20 tensors");
    let read: usize = loaded.conversions.iter().map(|(_, tensors)| tensors).sum();
    assert_eq!(read, 20);
}

const SIZES: Sizes = Sizes { vocabulary: 7, width: 8, neurons: 4, layers: 1, heads: 2 };

/// Tensors of a tiny Llama, all values 0.5.
fn tiny() -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let half = |(name, shape): (String, Vec<usize>)| {
        let values = vec![0.5; shape.iter().product()];
        (name, shape, values)
    };
    SIZES.shapes().into_iter().map(half).collect()
}

fn as_safetensors(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let tensors: Vec<_> = tensors
        .iter()
        .map(|(name, shape, values)| (name.as_str(), Dtype::F32, shape.clone(), words(values)))
        .collect();
    safetensors(&tensors)
}

fn as_gguf(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let add = |file: Gguf, (name, shape, values): &(String, Vec<usize>, Vec<f32>)| {
        file.tensor(&Sizes::gguf_name(name), 0, shape, &words(values))
    };
    tensors.iter().fold(Gguf::default().llama(SIZES), add).finish()
}

/// The error of loading these tensors, from both a folder and a GGUF file.
fn errors(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> [LoadError; 2] {
    let folder = folder_with(&SIZES.config(), "model.safetensors", &as_safetensors(tensors));
    let gguf = folder.path().join("model.gguf");
    std::fs::write(&gguf, as_gguf(tensors)).unwrap();
    [folder.path(), &gguf].map(|path| match load(path, &Device::flex()) {
        Ok(_) => panic!("{} was loaded", path.display()),
        Err(error) => error,
    })
}

#[test]
fn the_tiny_model_loads_where_nothing_is_wrong() {
    let folder = folder_with(&SIZES.config(), "model.safetensors", &as_safetensors(&tiny()));
    let gguf = folder.path().join("model.gguf");
    std::fs::write(&gguf, as_gguf(&tiny())).unwrap();
    let ids = [1, 2, 3];
    assert_eq!(logits(&model(folder.path()), &ids), logits(&model(&gguf), &ids));
}

#[test]
fn config_and_tensors_that_disagree_are_named_with_both_values() {
    let mut tensors = tiny();
    let down = tensors.iter().position(|(name, ..)| name.ends_with("down_proj.weight")).unwrap();
    tensors[down].1 = vec![4, 8];
    for (error, file) in errors(&tensors).into_iter().zip(["model.safetensors", "model.gguf"]) {
        let message = error.to_string();
        let expected = "tensor `model.layers.0.mlp.down_proj.weight` has shape [4, 8], but the config \
                        says [hidden_size = 8, intermediate_size = 4]";
        assert!(message.contains(file) && message.contains(expected), "{message}");
    }
}

#[test]
fn nan_and_infinity_are_named_with_their_place() {
    for bad in [f32::NAN, f32::INFINITY] {
        let mut tensors = tiny();
        let norm = tensors.iter().position(|(name, ..)| name == "model.norm.weight").unwrap();
        tensors[norm].2[5] = bad;
        for (error, file) in errors(&tensors).into_iter().zip(["model.safetensors", "model.gguf"]) {
            let message = error.to_string();
            let expected = format!("tensor `model.norm.weight` holds {bad} at flat index 5");
            assert!(message.contains(file) && message.contains(&expected), "{message}");
        }
    }
}

#[test]
fn missing_and_leftover_tensors_are_named() {
    let mut tensors = tiny();
    tensors.retain(|(name, ..)| name != "model.norm.weight");
    for error in errors(&tensors) {
        assert!(error.to_string().contains("has no tensor `model.norm.weight`"), "{error}");
    }
    let mut tensors = tiny();
    tensors.push(("left.over".to_owned(), vec![1], vec![0.0]));
    for error in errors(&tensors) {
        assert!(error.to_string().contains("no place for: left.over"), "{error}");
    }
}

#[test]
fn an_unknown_architecture_is_told_the_nearest_known_one() {
    let config = SIZES.config().replace("LlamaForCausalLM", "LLaMAForCausalML");
    let folder = folder_with(&config, "model.safetensors", &as_safetensors(&tiny()));
    let message = inspect(folder.path()).unwrap_err().to_string();
    let expected = "config.json: architecture `LLaMAForCausalML` is not supported, the nearest that \
                    is: `LlamaForCausalLM`; supported are";
    assert!(message.contains(expected), "{message}");
    let config = SIZES.config().replace("LlamaForCausalLM", "X");
    let folder = folder_with(&config, "model.safetensors", &as_safetensors(&tiny()));
    let message = inspect(folder.path()).unwrap_err().to_string();
    assert!(message.contains("`X` is not supported; supported are"), "{message}");
}

/// Found by the mutations: frequencies for a head of 2^40 were made before any tensor was seen.
#[test]
fn sizes_that_no_model_has_are_refused() {
    for (field, most) in
        [("head_dim", 1 << 24), ("vocab_size", 1 << 24), ("num_hidden_layers", 4096)]
    {
        let mut config: serde_json::Value = serde_json::from_str(&SIZES.config()).unwrap();
        config[field] = (1_u64 << 40).into();
        let weights = as_safetensors(&tiny());
        let folder = folder_with(&config.to_string(), "model.safetensors", &weights);
        let message = inspect(folder.path()).unwrap_err().to_string();
        let expected = format!(
            "config.json: field `{field}`: is 1099511627776, expected a whole number from 1 to {most}"
        );
        assert!(message.contains(&expected), "{message}");
    }
}

/// A file cut short after it was opened cannot be made here; one cut short before is refused at once.
#[test]
fn truncated_files_are_refused_before_anything_is_read() {
    let weights = as_safetensors(&tiny());
    let cut = &weights[..weights.len() - 1];
    let folder = folder_with(&SIZES.config(), "model.safetensors", cut);
    let message = inspect(folder.path()).unwrap_err().to_string();
    assert!(message.contains("model.safetensors is damaged: its header promises"), "{message}");
    let bin = std::fs::read(golden("pytorch/pytorch_model.bin")).unwrap();
    let folder = folder_with(&SIZES.config(), "pytorch_model.bin", &bin[..bin.len() / 2]);
    let message = inspect(folder.path()).unwrap_err().to_string();
    assert!(message.contains("pytorch_model.bin is damaged: its archive"), "{message}");
    let gguf = as_gguf(&tiny());
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, &gguf[..gguf.len() - 64]).unwrap();
    let message = inspect(&path).unwrap_err().to_string();
    assert!(message.contains("model.gguf is damaged: tensor `output.weight`"), "{message}");
}

#[test]
fn a_pickle_with_anything_but_tensors_is_refused() {
    let bin = std::fs::read(golden("pytorch/calls.bin")).unwrap();
    let folder = folder_with(&SIZES.config(), "pytorch_model.bin", &bin);
    let message = inspect(folder.path()).unwrap_err().to_string();
    let expected =
        "pytorch_model.bin: its pickle holds `posix.system`, where only tensors are read";
    assert!(message.contains(expected), "{message}");
}
