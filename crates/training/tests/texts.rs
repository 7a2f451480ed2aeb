//! The committed texts are those that the generator writes.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{fs, path::Path};

#[test]
fn committed_texts_are_generated() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/stories");
    let folder = tempfile::tempdir().unwrap();
    training::write_texts(folder.path()).unwrap();
    let mut n = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let there = fs::read_to_string(committed.join(&name)).unwrap_or_default();
        assert!(
            there == fs::read_to_string(entry.path()).unwrap(),
            "{} is not what the grammar makes now: `cargo xtask train --texts`, and train the models again",
            name.display()
        );
        n += 1;
    }
    assert_eq!(n, 7);
}
