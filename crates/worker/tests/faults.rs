//! Every bad input gives one clear message and the right exit code.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::{path::Path, process::Command};

use common::{cell, cells, golden_model, golden_text, order, repository, run, stderr, treatment};
use plan::{DeviceName, Policy, Protocol};
use tables::{CellStatus, Store};

fn copied(model: &str, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(golden_model(model)).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn a_truncated_checkpoint_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    copied("llama", &model);
    let weights = model.join("model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() - 1000]).unwrap();
    let output = run(&order(&folder.path().join("run"), &model, cells()), folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::BAD_INPUTS));
    let message = stderr(&output);
    assert!(message.contains("model.safetensors is damaged"), "{message}");
    assert!(message.contains("promises"), "{message}");
}

#[test]
fn all_bad_inputs_are_listed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut order = order(&folder.path().join("run"), &folder.path().join("nowhere"), cells());
    order.texts[0].path = folder.path().join("missing.raw");
    let output = run(&order, folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::BAD_INPUTS));
    let message = stderr(&output);
    assert!(message.contains("nowhere") && message.contains("missing.raw"), "{message}");
    assert_eq!(message.lines().count(), 2, "{message}");
}

#[test]
fn config_and_tensors_must_agree() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    copied("llama", &model);
    let config = model.join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("\"intermediate_size\": 80", "\"intermediate_size\": 81"))
        .unwrap();
    let output = run(&order(&folder.path().join("run"), &model, cells()), folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::BAD_INPUTS));
    let message = stderr(&output);
    assert!(
        message.contains("gate_proj") && message.contains("intermediate_size = 81"),
        "{message}"
    );
}

/// The tokenizer of a larger vocabulary would ask for ids that the model has no embedding for.
#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    copied("llama-relu", &model);
    std::fs::copy(golden_model("llama").join("tokenizer.json"), model.join("tokenizer.json"))
        .unwrap();
    let output = run(&order(&folder.path().join("run"), &model, cells()), folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::BAD_INPUTS));
    let message = stderr(&output);
    assert!(message.contains("the tokenizer has") && message.contains("vocab_size"), "{message}");
}

#[test]
fn a_device_that_this_build_has_not_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut order = order(&folder.path().join("run"), &golden_model("llama"), cells());
    order.device = DeviceName::Cuda(0);
    let output = run(&order, folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::BAD_PIPELINE));
    assert!(stderr(&output).contains("--features cuda"), "{}", stderr(&output));
}

#[test]
fn calibration_on_the_test_text_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut order = order(&folder.path().join("run"), &golden_model("llama"), cells());
    order.texts[1].path = golden_text("text.raw");
    let output = run(&order, folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::BAD_INPUTS));
    assert!(stderr(&output).contains("shares a document"), "{}", stderr(&output));
}

/// The model has 64 positions: windows of 128 ids fail, the rest goes on.
#[test]
fn a_failed_cell_is_a_row_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let dense = |window_tokens| {
        cell(Protocol::Perplexity { window_tokens }, treatment(Policy::Dense, None, None))
    };
    let order =
        order(&folder.path().join("run"), &golden_model("llama"), vec![dense(128), dense(64)]);
    let output = run(&order, folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::FAILED_CELLS), "{}", stderr(&output));
    let status = Store::open_read_only(&order.results).unwrap().status().unwrap();
    assert_eq!(status[&order.cells[0].id], CellStatus::Failed);
    assert_eq!(status[&order.cells[1].id], CellStatus::Done);
    let output = run(&order, folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::FAILED_CELLS), "it is tried again");
}

#[test]
fn an_unusable_results_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("run");
    std::fs::write(&results, "a file").unwrap();
    let output = run(&order(&results, &golden_model("llama"), cells()), folder.path());
    assert_eq!(output.status.code(), Some(plan::exit::BAD_RESULTS));
    assert!(stderr(&output).contains(results.to_str().unwrap()), "{}", stderr(&output));
}

/// Needs the fetched weights; says so where they are not there.
#[test]
fn a_truncated_gguf_names_file_and_tensor() {
    let gguf = repository().join("data/cache/SmolLM2-135M-Instruct.Q4_1.gguf");
    let Ok(bytes) = std::fs::read(&gguf) else {
        testing::skip(&format!("no {} (cargo xtask fetch smollm2)", gguf.display()));
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.gguf");
    for (length, expected) in [(bytes.len() - 1, "reaches beyond"), (1000, "header"), (3, "header")]
    {
        std::fs::write(&cut, &bytes[..length]).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_worker"))
            .args(["logits", "--tokens", "1 2 3", "--out"])
            .arg(folder.path().join("out.safetensors"))
            .arg("--model")
            .arg(&cut)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(plan::exit::BAD_INPUTS));
        let message = stderr(&output);
        assert!(message.contains("cut.gguf is damaged"), "{message}");
        assert!(message.contains(expected), "{message}");
    }
}
