//! Peak memory of loading: below 1.3 times the f32 size of the model, from every format.
//!
//! The model is made so that a second copy of its largest tensor, which is also the last one that is
//! read, would be a third of it. It is loaded in a process of its own (this test again, with
//! [`LOAD`] set), which reads its own high-water mark from Linux; elsewhere nothing is measured.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::print_stdout, reason = "what a test saw, and why it skipped")]

#[path = "../../checkpoints/tests/common/mod.rs"]
mod common;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use common::{DICT, END, Gguf, Sizes, bin, contiguous, entry, safetensors};
use models::{Device, load};
use safetensors::Dtype;

/// The path that the process of its own is to load.
const LOAD: &str = "SLIM_TEST_MODEL_TO_LOAD";

/// 50 M parameters, 16.8 M of them in the output head.
const SIZES: Sizes = Sizes { vocabulary: 16_384, width: 1024, neurons: 4096, layers: 1, heads: 8 };

const MOST: f64 = 1.3;

fn values(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// High-water mark of the resident memory of this process, bytes.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes << 10)
}

/// Runs in the process of its own; does nothing in the ordinary test run.
#[test]
fn load_and_tell_the_peak() {
    let Some(path) = std::env::var_os(LOAD) else { return };
    let before = peak().unwrap();
    let loaded = load(Path::new(&path), &Device::flex()).unwrap();
    println!("peak {}; {}", peak().unwrap() - before, loaded.conversions);
}

fn measure(path: &Path, format: &str) {
    if peak().is_none() {
        testing::skip("this system does not tell a process its peak memory");
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "load_and_tell_the_peak", "--nocapture"])
        .env(LOAD, path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let line = said.lines().find_map(|line| line.split_once("peak ")?.1.split_once("; "));
    let Some((peak, conversions)) = line else {
        panic!("{said}{}", String::from_utf8_lossy(&output.stderr));
    };
    let parameters: usize = SIZES.shapes().iter().map(|(_, shape)| values(shape)).sum();
    let ratio = peak.parse::<f64>().unwrap() / (4 * parameters) as f64;
    println!("{format} ({conversions}): peak {ratio:.3} times the f32 size");
    assert!(ratio > 0.99, "{format}: {ratio}, so the model was not in memory");
    assert!(ratio < MOST, "{format}: {ratio}");
}

#[test]
fn of_safetensors() {
    let folder = tempfile::tempdir().unwrap();
    let shapes = SIZES.shapes();
    let tensors: Vec<_> = shapes
        .iter()
        .map(|(name, shape)| (name.as_str(), Dtype::F32, shape.clone(), vec![0; 4 * values(shape)]))
        .collect();
    std::fs::write(folder.path().join("model.safetensors"), safetensors(&tensors)).unwrap();
    std::fs::write(folder.path().join("config.json"), SIZES.config()).unwrap();
    measure(folder.path(), "safetensors");
}

#[test]
fn of_a_pickle() {
    let folder = tempfile::tempdir().unwrap();
    let shapes = SIZES.shapes();
    let zeros = vec![0; 4 * shapes.iter().map(|(_, shape)| values(shape)).max().unwrap()];
    let mut pickle = DICT.to_vec();
    let mut storages = Vec::new();
    for (name, shape) in &shapes {
        pickle.extend(entry(name, "FloatStorage", name, shape, &contiguous(shape)));
        storages.push((name.as_str(), &zeros[..4 * values(shape)]));
    }
    pickle.extend_from_slice(END);
    std::fs::write(folder.path().join("pytorch_model.bin"), bin(&pickle, &storages)).unwrap();
    std::fs::write(folder.path().join("config.json"), SIZES.config()).unwrap();
    measure(folder.path(), "pickle");
}

#[test]
fn of_gguf() {
    const Q8_0: u32 = 8;
    const F32: u32 = 0;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let file = SIZES.shapes().iter().fold(Gguf::default().llama(SIZES), |file, (name, shape)| {
        let (kind, bytes) = match shape.len() {
            1 => (F32, 4 * values(shape)),
            _ => (Q8_0, values(shape) / 32 * 34),
        };
        file.tensor(&Sizes::gguf_name(name), kind, shape, &vec![0; bytes])
    });
    std::fs::write(&path, file.finish()).unwrap();
    measure(&path, "gguf");
}
