//! Three documents and three items as they are: a change of the grammar must be meant.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::PathBuf;

use stories::{Distances, Register, Split, Stories};

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/snapshot.jsonl")
}

fn now() -> String {
    let stories = Stories::new(1);
    let documents =
        Register::ALL.map(|r| serde_json::to_string(&stories.document(Split::Train, r, 0)));
    let items = [2, 30, 58]
        .map(|index| serde_json::to_string(&stories.item(Split::Test, Distances::ALL, index)));
    documents.into_iter().chain(items).map(|line| line.unwrap() + "\n").collect()
}

/// Set to write the snapshot anew.
const WRITE: &str = "STORIES_WRITE_SNAPSHOT";

#[test]
fn texts_are_as_they_were() {
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(file(), now()).unwrap();
    }
    let before = std::fs::read_to_string(file()).unwrap();
    for (before, now) in before.lines().zip(now().lines()) {
        assert_eq!(
            now, before,
            "a seed gives another text than before; if that is meant, write the snapshot anew with \
             `{WRITE}=1 cargo test --release -p stories --test snapshot` and train the models again"
        );
    }
    assert_eq!(before.lines().count(), 6);
}
