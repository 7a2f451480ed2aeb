//! Shares of a model against the sizes of the tensors in its file and against its config.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::{Path, PathBuf};

use models::{Device, Model, attention_share, ffn_share, load, state_share};
use safetensors::SafeTensors;

const TOKENS: usize = 32;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn model(name: &str) -> Box<dyn Model> {
    load(&folder(name), &Device::flex()).unwrap().model
}

/// Entries of the tensors whose names hold any of some words.
fn stored(name: &str, words: &[&str]) -> usize {
    let bytes = std::fs::read(folder(name).join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let named = |name: &str| words.iter().any(|word| name.contains(word));
    let tensors = file.tensors().into_iter().filter(|(name, _)| named(name));
    tensors.map(|(_, view)| view.shape().iter().product::<usize>()).sum()
}

#[test]
fn blocks_are_what_their_tensors_are() {
    for (name, words) in [
        ("opt", &["fc1", "fc2"][..]),
        ("gpt2", &[".mlp."]),
        ("llama", &[".mlp."]),
        ("gemma3", &[".mlp."]),
        ("zamba2", &[".feed_forward."]),
        ("zamba2-two", &[".feed_forward."]),
    ] {
        let model = model(name);
        let (share, facts) = (ffn_share(model.as_ref(), TOKENS), model.facts());
        let expected = stored(name, words) as f64 / facts.parameters as f64;
        assert!((share.parameters - expected).abs() < 1e-12, "{name}: {share:?}, {expected}");
        assert_eq!(share.state_bytes, 0.0, "{name}");
        assert!(share.flops > 0.0 && share.flops < 1.0, "{name}: {share:?}");
    }
    // Two layers of three products of 48 × 80.
    let llama = model("llama");
    let expected = (2 * 2 * 3 * 48 * 80) as f64 / llama.facts().flops_per_token(TOKENS);
    assert!((ffn_share(llama.as_ref(), TOKENS).flops - expected).abs() < 1e-12);
    // Three uses of 38 neurons and width 24, each with adapters of rank 5 on gate and up together.
    let zamba2 = model("zamba2");
    let of_use = 3 * 24 * 38 + 5 * (24 + 2 * 38);
    let expected = (2 * 3 * of_use) as f64 / zamba2.facts().flops_per_token(TOKENS);
    assert!((ffn_share(zamba2.as_ref(), TOKENS).flops - expected).abs() < 1e-12);
}

#[test]
fn attentions_are_what_their_tensors_are() {
    for (name, words) in [
        ("opt", &[".self_attn."][..]),
        ("gpt2", &[".attn."]),
        ("llama", &[".self_attn."]),
        ("qwen2", &[".self_attn."]),
        ("qwen3", &[".self_attn."]),
        ("gemma3", &[".self_attn."]),
        ("zamba2", &[".self_attn."]),
        ("zamba2-two", &[".self_attn."]),
    ] {
        let model = model(name);
        let (share, facts) = (attention_share(model.as_ref(), TOKENS), model.facts());
        let expected = stored(name, words) as f64 / facts.parameters as f64;
        assert!((share.parameters - expected).abs() < 1e-12, "{name}: {share:?}, {expected}");
        assert_eq!(share.state_bytes, 0.0, "{name}");
        let both = share.flops + ffn_share(model.as_ref(), TOKENS).flops;
        assert!(share.flops > 0.0 && both < 1.0, "{name}: {share:?}");
    }
    // Two layers of 6 query heads and 2 key heads of 8 on a width of 48, and the causal half of two products.
    let llama = model("llama");
    let operations = 2 * (2 * 2 * 48 * 8 * (6 + 2) + 2 * 48 * TOKENS);
    let expected = operations as f64 / llama.facts().flops_per_token(TOKENS);
    assert!((attention_share(llama.as_ref(), TOKENS).flops - expected).abs() < 1e-12);
    assert_eq!(attention_share(model("mamba2").as_ref(), TOKENS).parameters, 0.0, "no attention");
}

#[test]
fn states_are_what_the_config_says() {
    let model = model("mamba2");
    let share = state_share(model.as_ref(), TOKENS);
    let facts = model.facts();
    let (layers, columns, d_model, kernel, inner, channels) = (2, 2 * 2 * 10, 24, 4, 48, 10);
    let parameters = layers * columns * (d_model + kernel + 1);
    assert_eq!(share.parameters, parameters as f64 / facts.parameters as f64);
    let flops = layers * (2 * columns * (d_model + kernel) + 5 * inner * channels);
    assert_eq!(share.flops, flops as f64 / facts.flops_per_token(TOKENS));
    let carried = (inner * channels + columns * (kernel - 1)) as f64;
    let all = (inner * channels + (inner + columns) * (kernel - 1)) as f64;
    assert_eq!(share.state_bytes, carried / all);
    assert_eq!(ffn_share(model.as_ref(), TOKENS).parameters, 0.0, "no such block");
}
