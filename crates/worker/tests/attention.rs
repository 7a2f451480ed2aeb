//! Cells whose attention skips heads or cached positions: what decoding holds, and SmolLM2 against PyTorch
//! (`golden/attention.sh`: the first four windows of WikiText-2 test, `ppl-512`, by `bench/peer/attention.py`).

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::print_stdout, reason = "what a test saw, and why it skipped")]

mod common;

use std::path::Path;

use common::{
    golden_model, golden_text,
    real::{Asked, TEST, all_there, answer, answered, close, data, gguf, request},
    repository,
};
use plan::{CellRequest, Protocol, Recipe};
use serde_json::Value;

fn recipe(step: &str) -> Recipe {
    let steps = if step.is_empty() { vec![] } else { vec![step.parse().unwrap()] };
    Recipe::new(steps, 1).unwrap()
}

/// Token by token the losses are those of whole windows, and the cache really holds what the row claims.
#[test]
fn decoding_holds_the_bytes_that_the_row_claims() {
    for model in ["opt-relu", "qwen2-silu", "zamba2"] {
        for step in [
            "skip=kv,mode=write,score=accumulated,sparsity=0.75",
            "skip=kv,mode=write,score=recency,sinks=2,sparsity=0.5,window=3",
            "skip=kv,mode=write,score=attention,sparsity=0.5,prompt_tokens=6",
            "skip=kv,mode=read,score=attention-value,sparsity=0.5",
            "skip=heads,score=impact,sparsity=0.5",
        ] {
            let folder = repository().join("data/models").join(model);
            let asked = Asked { limit: 2, ..Asked::of(folder, "", recipe(step)) };
            let whole = CellRequest {
                dataset: repository().join("data/stories/narrative.test.jsonl"),
                protocol: Protocol::Perplexity { window_tokens: 48 },
                ..request(asked)
            };
            let decoded = answered(&CellRequest { decode: true, ..whole.clone() });
            let whole = answered(&whole);
            let number = |answer: &Value, name: &str| answer[name].as_f64().unwrap();
            let off = number(&decoded, "nll_nats") / number(&whole, "nll_nats") - 1.0;
            assert!(off.abs() < 1e-5, "{model}, {step}: {off:e}");
            let measured = &decoded["cache_peak_bytes_measured"];
            assert!(measured.as_u64().unwrap() > 0 && whole["cache_peak_bytes_measured"].is_null());
            if step.starts_with("skip=kv") {
                for answer in [&whole, &decoded] {
                    assert_eq!(&answer["cache_peak_bytes"], measured, "{model}, {step}");
                }
                assert_eq!(whole["cache_bytes"], decoded["cache_bytes"], "{model}, {step}");
            }
        }
    }
}

/// A set that looks ahead is not there token by token: the cell fails with a word on why.
#[test]
fn a_window_that_looks_ahead_is_not_decoded() {
    let step = "skip=kv,mode=read,score=attention,sparsity=0.5,window=4,rule=window-mean";
    let asked = Asked { limit: 1, ..Asked::of(golden_model("llama"), "", recipe(step)) };
    let protocol = Protocol::Perplexity { window_tokens: 16 };
    let dataset = golden_text("text.raw");
    let request = CellRequest { dataset, protocol, decode: true, ..request(asked) };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("request.json");
    std::fs::write(&file, serde_json::to_string(&request).unwrap()).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_worker"))
        .args(["cell", "--request"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("run whole sequences"), "{told}");
}

/// The perplexities of every recipe of the golden file. Kept sets hang on near ties in a deep model, so the
/// tolerance is 1 %, and half a percent where no more than half is dropped.
#[test]
fn smollm2_is_what_pytorch_says() {
    if !all_there(&[gguf(), data(TEST)]) {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/attention.json");
    let golden = std::fs::read_to_string(path).unwrap();
    let cases: Vec<Value> =
        golden.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(cases.len(), 12);
    for case in cases {
        let step = case["step"].as_str().unwrap();
        let part = if step.starts_with("mode=") { "kv" } else { "heads" };
        let recipe = match step {
            "dense" => recipe(""),
            step => recipe(&format!("skip={part},{step}")),
        };
        let protocol = Protocol::Perplexity { window_tokens: 512 };
        let answer = answer(Asked { protocol, ..Asked::of(gguf(), TEST, recipe) });
        let tolerance = match step {
            "dense" => 1e-5,
            step if step.contains("sparsity=0.9") => 0.01,
            _ => 0.005,
        };
        let expected = case["perplexity"].as_f64().unwrap();
        close(step, answer["perplexity"].as_f64().unwrap(), expected, tolerance);
    }
}
