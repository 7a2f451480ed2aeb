//! The texts that the small models are calibrated and measured on, as files.

use std::{fs, path::Path};

use stories::{Distances, Register, Split, Stories, StoryError, write_jsonl};

/// Seed of the corpus that all committed models and texts belong to.
const SEED: u64 = 1;

/// Documents of each register and split.
const DOCUMENTS: usize = 120;

/// Passages of the last-word task: every distance with every question five times.
const ITEMS: usize = 300;

/// Writes `{register}.{split}.jsonl` for calibration and test, and `last-word.test.jsonl`.
///
/// # Errors
/// A folder that cannot be written.
pub fn write_texts(folder: &Path) -> Result<(), StoryError> {
    fs::create_dir_all(folder)
        .map_err(|source| StoryError::Write { path: folder.to_owned(), source })?;
    let stories = Stories::new(SEED);
    for split in [Split::Calibration, Split::Test] {
        for register in Register::ALL {
            let path = folder.join(format!("{}.{}.jsonl", register.name(), split.name()));
            write_jsonl(&path, stories.documents(split, register).take(DOCUMENTS))?;
        }
    }
    let items = stories.items(Split::Test, Distances::ALL).take(ITEMS);
    write_jsonl(&folder.join("last-word.test.jsonl"), items)
}
