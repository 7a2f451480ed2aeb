//! The golden models, one of every family, for tests that need only the weights.

use std::path::{Path, PathBuf};

use models::{Batch, Dense, Device, Model, into_values, load};

/// Every folder of `golden` that holds a model.
pub(crate) fn folders() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
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

pub(crate) fn model(folder: &Path) -> Box<dyn Model> {
    load(folder, &Device::flex()).unwrap_or_else(|e| panic!("{}: {e}", name(folder))).model
}

/// Two sequences of ids that the model knows.
pub(crate) fn sequences(model: &dyn Model) -> [Vec<u32>; 2] {
    let vocabulary = model.facts().vocabulary as u32;
    [30, 7].map(|length| (0..length).map(|i| (i * i + 3 * i + length) % vocabulary).collect())
}

pub(crate) fn logits(model: &dyn Model) -> Vec<f32> {
    let sequences = sequences(model);
    let batch = Batch::new(sequences.iter().map(Vec::as_slice));
    into_values(model.logits(model.forward(&batch, &mut Dense).unwrap()))
}
