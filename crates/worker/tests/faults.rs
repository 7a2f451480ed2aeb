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

/// A tokenizer may have more ids than the model has rows; a text that holds one of them is refused.
#[test]
fn an_id_without_a_row_is_an_error_where_a_text_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    copied("llama", &model);
    let file = model.join("tokenizer.json");
    let mut tokenizer: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let config = std::fs::read_to_string(model.join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    let rows = config["vocab_size"].as_u64().unwrap();
    let extra = |id: u64| {
        serde_json::json!({
            "id": id, "content": format!("<|extra{id}|>"), "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true,
        })
    };
    let known = tokenizer["model"]["vocab"].as_object().unwrap().len() as u64;
    tokenizer["added_tokens"].as_array_mut().unwrap().extend((known..=rows).map(extra));
    std::fs::write(&file, tokenizer.to_string()).unwrap();
    let mut with_extra = order(&folder.path().join("run"), &model, cells());
    let output = run(&with_extra, folder.path());
    assert!(output.status.success(), "{}", stderr(&output));
    // The same text with the id that the model has no row for.
    let text = std::fs::read_to_string(&with_extra.texts[0].path).unwrap();
    let path = folder.path().join("extra.raw");
    std::fs::write(&path, text.replacen(' ', &format!(" <|extra{rows}|> "), 5)).unwrap();
    with_extra.texts[0].path = path;
    with_extra.results = folder.path().join("other");
    let output = run(&with_extra, folder.path());
    assert!(!output.status.success());
    let message = [output.stdout, output.stderr].concat();
    let message = String::from_utf8_lossy(&message);
    let expected =
        format!("extra.raw holds `<|extra{rows}|>`, id {rows}, and the model has rows for");
    assert!(message.contains(&expected), "{message}");
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
fn a_device_that_this_build_has_not_is_told_before_there_is_an_order() {
    let ask = |device: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
        command.args(["reaches", "--device", device]).output().unwrap()
    };
    assert_eq!(ask("cpu").status.code(), Some(plan::exit::DONE));
    if cfg!(not(feature = "wgpu")) {
        let refused = ask("wgpu:0");
        assert_eq!(refused.status.code(), Some(plan::exit::BAD_PIPELINE));
        assert!(stderr(&refused).contains("--features wgpu"), "{}", stderr(&refused));
    }
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
    assert_eq!(stderr(&output), "", "the event tells it, once");
    let events = String::from_utf8_lossy(&output.stdout);
    assert_eq!(events.matches("\"cell_failed\"").count(), 1, "{events}");
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
