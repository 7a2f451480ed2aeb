//! What the tests of cuts share: the small models of the families, and their matrices as plain numbers.

#[allow(dead_code, reason = "not all tests read numbers")]
pub(crate) mod tensors;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use cuts::Matrix;
use models::{Batch, Dense, Device, Model, into_values, load};

/// The small random models of `crates/models`, one of every family at least.
#[allow(dead_code, reason = "not all tests go through them")]
pub(crate) fn families() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden");
    let entries = std::fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> =
        entries.filter(|path| path.join("expected.safetensors").is_file()).collect();
    folders.sort();
    folders
}

pub(crate) fn model(folder: &Path) -> Box<dyn Model> {
    load(folder, &Device::flex()).unwrap_or_else(|e| panic!("{}: {e}", folder.display())).model
}

/// Every matrix once, by name.
pub(crate) fn matrices(model: &dyn Model) -> BTreeMap<String, Matrix> {
    let uses = (0..model.facts().layers).flat_map(|layer| model.linears(layer));
    uses.map(|of| (of.name().to_string(), Matrix::of(&of))).collect()
}

/// `[tokens, vocabulary]`.
pub(crate) fn logits(model: &dyn Model, ids: &[u32]) -> Vec<f32> {
    let batch = Batch::new([ids]);
    into_values(model.logits(model.forward(&batch, &mut Dense).unwrap()))
}
