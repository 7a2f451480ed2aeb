//! What strangers bring: folders of the kinds that public problem reports of other projects name, made here of
//! the committed small models. The right numbers are those of transformers 5.23 in f32.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::{
    path::Path,
    process::{Command, Output},
};

use common::{repository, stderr};
use plan::{CellRequest, DeviceName, Protocol, Reading, Recipe, TimeSteps};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A committed model with some fields of its config changed.
fn model_with(name: &str, config: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = repository().join("data/models").join(name);
    for file in ["tokenizer.json", "tokenizer_config.json", "model.safetensors"] {
        std::fs::copy(from.join(file), folder.path().join(file)).unwrap();
    }
    let text = std::fs::read_to_string(from.join("config.json")).unwrap();
    let mut fields: Value = serde_json::from_str(&text).unwrap();
    for (field, value) in config.as_object().unwrap() {
        fields[field] = value.clone();
    }
    std::fs::write(folder.path().join("config.json"), fields.to_string()).unwrap();
    folder
}

/// `worker cell` on the first four windows or items of a text.
fn cell(model: &Path, text: &str, protocol: Protocol, time_steps: TimeSteps) -> Output {
    let request = CellRequest {
        model: model.to_owned(),
        dataset: repository().join("data/stories").join(text),
        reading: Reading::default(),
        task: None,
        protocol,
        recipe: Recipe::dense(1),
        offset: None,
        compare: None,
        limit: Some(4),
        calibration: None,
        device: DeviceName::Cpu,
        time_steps,
        decode: false,
        json: true,
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("request.json");
    std::fs::write(&file, serde_json::to_string(&request).unwrap()).unwrap();
    let worker = env!("CARGO_BIN_EXE_worker");
    Command::new(worker).args(["cell", "--request"]).arg(&file).output().unwrap()
}

fn windows(model: &Path, time_steps: TimeSteps) -> Output {
    cell(model, "narrative.test.jsonl", Protocol::Perplexity { window_tokens: 128 }, time_steps)
}

fn perplexity(output: &Output) -> f64 {
    assert!(output.status.success(), "{}", stderr(output));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    answer["perplexity"].as_f64().unwrap()
}

/// One line on standard error, the exit code of bad inputs, and nothing on standard output.
fn refusal(output: &Output) -> String {
    let message = stderr(output);
    assert_eq!(output.status.code(), Some(plan::exit::BAD_INPUTS), "{message}");
    assert_eq!((output.stdout.len(), message.lines().count()), (0, 1), "{message}");
    message
}

#[test]
fn windows_from_layer_0_on_are_all_layers() {
    let window = json!({"use_sliding_window": true, "sliding_window": 16, "max_window_layers": 0});
    let folder = model_with("qwen2-silu", &window);
    let found = perplexity(&windows(folder.path(), TimeSteps::default()));
    assert!((found - 3.970_35).abs() < 1e-5, "{found}");
}

#[test]
fn two_spellings_of_one_setting_are_both_named() {
    let both = json!({
        "rope_theta": null,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64},
    });
    let message = refusal(&windows(model_with("qwen2-silu", &both).path(), TimeSteps::default()));
    assert!(message.contains("`rope_parameters.rope_type`"), "{message}");
    assert!(message.contains("`rope_scaling.rope_type`"), "{message}");
}

#[test]
fn quantized_weights_are_named_by_their_method() {
    let gptq =
        json!({"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128}});
    let message = refusal(&windows(model_with("qwen2-silu", &gptq).path(), TimeSteps::default()));
    assert!(
        message.contains("quantized (gptq, 4 bits)") && message.contains("config.json"),
        "{message}"
    );
}

#[test]
fn a_family_is_known_by_its_type_alone() {
    let known = windows(&repository().join("data/models/qwen2-silu"), TimeSteps::default());
    let folder = model_with("qwen2-silu", &json!({"architectures": null}));
    assert_eq!(perplexity(&windows(folder.path(), TimeSteps::default())), perplexity(&known));
    let neither = json!({"architectures": null, "model_type": null});
    let message =
        refusal(&windows(model_with("qwen2-silu", &neither).path(), TimeSteps::default()));
    assert!(message.contains("`architectures`") && message.contains("`model_type`"), "{message}");
}

#[test]
fn what_lies_in_the_place_of_weights_is_named() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 3000000\n";
    for (content, expected) in
        [(pointer, "Git LFS pointer"), ("<!DOCTYPE html>\n<html>", "web page")]
    {
        let folder = model_with("qwen2-silu", &json!({}));
        std::fs::write(folder.path().join("model.safetensors"), content).unwrap();
        let message = refusal(&windows(folder.path(), TimeSteps::default()));
        assert!(message.contains("model.safetensors") && message.contains(expected), "{message}");
    }
}

/// Weights of layer 2 times 1e30: no accuracy and no perplexity may come of it.
#[test]
fn a_model_that_overflows_has_no_numbers() {
    let folder = model_with("opt-relu", &json!({}));
    let file = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let scaled: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            assert_eq!(view.dtype(), Dtype::F16, "{name}");
            let factor = if name.contains(".layers.2.") { 1e30 } else { 1.0 };
            let words = view.data().as_chunks::<2>().0.iter();
            let values = words.map(|word| factor * half(u16::from_le_bytes(*word)));
            (name, view.shape().to_vec(), values.flat_map(f32::to_le_bytes).collect())
        })
        .collect();
    let views = scaled.iter().map(|(name, shape, bytes)| {
        (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    let written = safetensors::serialize(views, None).unwrap();
    std::fs::write(&file, written).unwrap();
    for (text, protocol) in [
        ("last-word.test.jsonl", Protocol::LambadaOpenai),
        ("last-word.test.jsonl", Protocol::LambadaLastToken),
        ("narrative.test.jsonl", Protocol::Perplexity { window_tokens: 128 }),
    ] {
        let output = cell(folder.path(), text, protocol, TimeSteps::default());
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(plan::exit::FAILED_CELLS), "{message}");
        assert_eq!(output.stdout.len(), 0);
        assert!(message.contains("the model has overflowed"), "{message}");
    }
}

/// The value of half a precision.
fn half(bits: u16) -> f32 {
    let (sign, exponent, fraction) =
        (bits >> 15, i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2.0_f32.powi(-24),
        _ => (1.0 + fraction / 1024.0) * 2.0_f32.powi(exponent - 15),
    };
    if sign == 1 { -size } else { size }
}

/// Both rules on the trained hybrid, whose smallest time steps lie below `time_step_min`: transformers 5.24
/// has 3.4812980 with it and 3.4812982 without.
#[test]
fn time_steps_follow_the_rule_that_is_asked_for() {
    let zamba2 = repository().join("data/models/zamba2");
    let [clipped, free] = [TimeSteps::Transformers, TimeSteps::Original]
        .map(|rule| perplexity(&windows(&zamba2, rule)));
    assert_ne!(clipped, free);
    assert!((clipped - free).abs() < 1e-5, "{clipped} {free}");
    let message = refusal(&windows(&repository().join("data/models/mamba2"), TimeSteps::Original));
    assert!(message.contains("`time_steps`") && message.contains("Zamba2"), "{message}");
}
