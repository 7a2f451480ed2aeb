//! Real models and texts, and one cell by hand on them.

#![allow(clippy::print_stdout, reason = "what a test saw")]

use std::{path::PathBuf, process::Command};

use plan::{CalibrationText, CellRequest, Compare, DeviceName, Protocol, Recipe};
use serde_json::Value;

use super::repository;

pub(crate) fn gguf() -> PathBuf {
    cached("SmolLM2-135M-Instruct.Q4_1.gguf")
}

/// Gemma 3 270M, Q4_K_M (`cargo xtask fetch gemma3-270m`).
pub(crate) fn gemma() -> PathBuf {
    cached("gemma-3-270m-q4_k_m.gguf")
}

pub(crate) fn cached(file: &str) -> PathBuf {
    let cache = std::env::var_os("SLIM_CACHE");
    let cache = cache.map_or_else(|| repository().join("data/cache"), PathBuf::from);
    cache.join(file)
}

pub(crate) fn data(file: &str) -> PathBuf {
    let folder = std::env::var_os("SLIM_DATA");
    let folder = folder.map_or_else(|| repository().join("data/texts"), PathBuf::from);
    folder.join(file)
}

pub(crate) const TEST: &str = "wikitext2/wiki.test.raw";
pub(crate) const VALID: &str = "wikitext2/wiki.valid.raw";
pub(crate) const LAMBADA: &str = "lambada/lambada_test.jsonl";

/// Whether all that is needed is there; prints what is not.
pub(crate) fn ready() -> bool {
    all_there(&[gguf(), data(TEST), data(VALID), data(LAMBADA)])
}

pub(crate) fn all_there(files: &[PathBuf]) -> bool {
    let missing: Vec<&PathBuf> = files.iter().filter(|file| !file.is_file()).collect();
    if !missing.is_empty() {
        testing::skip(&format!("not here: {missing:?}"));
    }
    missing.is_empty()
}

/// What is asked of the worker.
pub(crate) struct Asked {
    pub(crate) model: PathBuf,
    pub(crate) dataset: &'static str,
    pub(crate) protocol: Protocol,
    pub(crate) limit: usize,
    pub(crate) recipe: Recipe,
    pub(crate) calibration: Option<CalibrationText>,
    pub(crate) compare: Option<Compare>,
}

impl Asked {
    /// The first 4 windows of 1,024 ids, without calibration.
    pub(crate) fn of(model: PathBuf, dataset: &'static str, recipe: Recipe) -> Self {
        let protocol = Protocol::Perplexity { window_tokens: 1024 };
        Self { model, dataset, protocol, limit: 4, recipe, calibration: None, compare: None }
    }
}

/// The first windows of WikiText-2 valid.
pub(crate) fn calibration(limit: usize, window_tokens: Option<usize>) -> CalibrationText {
    let (path, reading) = (data(VALID), plan::Reading::default());
    CalibrationText { path, reading, limit: Some(limit), window_tokens }
}

pub(crate) fn request(asked: Asked) -> CellRequest {
    CellRequest {
        model: asked.model,
        dataset: data(asked.dataset),
        reading: plan::Reading::default(),
        task: None,
        protocol: asked.protocol,
        recipe: asked.recipe,
        offset: None,
        compare: asked.compare,
        limit: Some(asked.limit),
        calibration: asked.calibration,
        device: DeviceName::Cpu,
        time_steps: plan::TimeSteps::default(),
        decode: false,
        json: true,
    }
}

pub(crate) fn answer(asked: Asked) -> Value {
    answered(&request(asked))
}

/// What `worker cell` prints.
pub(crate) fn answered(request: &CellRequest) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("request.json");
    std::fs::write(&file, serde_json::to_string(request).unwrap()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_worker"))
        .args(["cell", "--request"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

pub(crate) fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
    let off = found / expected - 1.0;
    println!("{what}: {found:.5}, check value {expected}, off by {:+.3} %", 100.0 * off);
    assert!(off.abs() <= tolerance, "{what}: {found}, expected {expected} ± {tolerance}");
}
