//! The golden models of `models`, one of every family.

use std::path::{Path, PathBuf};

use models::{Batch, Dense, Device, Model, into_values, load};

/// Every folder that holds a model.
pub(crate) fn folders() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden");
    let entries = std::fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> =
        entries.filter(|path| path.join("expected.safetensors").is_file()).collect();
    folders.sort();
    assert!(folders.len() > 20, "{} families", folders.len());
    folders
}

pub(crate) fn name(folder: &Path) -> String {
    folder.file_name().unwrap().to_string_lossy().into_owned()
}

pub(crate) fn model_on(folder: &Path, device: &Device) -> Box<dyn Model> {
    load(folder, device).unwrap_or_else(|e| panic!("{}: {e}", name(folder))).model
}

pub(crate) fn model(folder: &Path) -> Box<dyn Model> {
    model_on(folder, &Device::flex())
}

/// So many windows of ids that the model knows.
pub(crate) fn windows(model: &dyn Model, n: usize, salt: u32) -> Vec<Vec<u32>> {
    let vocabulary = model.facts().vocabulary as u32;
    let window = |w: u32| (0..40).map(|i: u32| (i * i + 3 * i * w + salt) % vocabulary).collect();
    (0..n as u32).map(|w| window(w + 1)).collect()
}

pub(crate) fn logits(model: &dyn Model) -> Vec<f32> {
    let windows = windows(model, 2, 11);
    let batch = Batch::new(windows.iter().map(Vec::as_slice));
    into_values(model.logits(model.forward(&batch, &mut Dense).unwrap()))
}
