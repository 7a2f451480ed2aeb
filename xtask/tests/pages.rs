//! Paths that the pages for contributors name are there: a file that moves takes its page along.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What the notebook on adding a score writes anew.
const NEW: &str = "crates/importance/src/scores/output_energy.rs";
/// Made by commands, so not in every checkout.
const MADE: [&str; 2] = ["bench/record", "target/"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap()
}

/// What stands between backticks in a line and reads as a path.
fn paths(line: &str) -> impl Iterator<Item = &str> {
    let is_path = |text: &&str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
        let has_ending =
            [".rs", ".toml", ".py", ".md", ".ipynb"].iter().any(|end| text.ends_with(end));
        text.chars().all(plain) && (has_ending || text.contains('/')) && !text.starts_with("--")
    };
    line.split('`').skip(1).step_by(2).filter(is_path)
}

/// The place of a path: from the root, from `crates`, or beside the one before it in its line.
fn place(path: &str, before: Option<&Path>) -> Option<PathBuf> {
    let beside = before.map(|own| if own.is_dir() { own } else { own.parent().unwrap_or(own) });
    let folders = [Some(root()), Some(root().join("crates")), beside.map(Path::to_owned)];
    folders.into_iter().flatten().map(|folder| folder.join(path)).find(|place| place.exists())
}

/// Paths of a text that are not there.
fn missing(text: &str) -> Vec<String> {
    let mut missing = Vec::new();
    for line in text.lines() {
        let mut before = None;
        for path in paths(line).filter(|path| !MADE.iter().any(|made| path.starts_with(made))) {
            match place(path, before.as_deref()) {
                Some(found) => before = Some(found),
                None => missing.push(path.to_owned()),
            }
        }
    }
    missing
}

#[test]
fn where_a_change_belongs_is_there() {
    let page = read("ARCHITECTURE.md");
    let (_, section) = page.split_once("Where a change belongs:").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    assert!(section.lines().flat_map(paths).count() > 30, "the section names few paths: {section}");
    assert_eq!(missing(section), [""; 0], "ARCHITECTURE.md, Where a change belongs");
    assert_eq!(missing(&read("CONTRIBUTING.md")), [""; 0], "CONTRIBUTING.md");
}

#[test]
fn the_notebook_names_what_is_there() {
    let notebook: Value = serde_json::from_str(&read("notebooks/add-a-score.ipynb")).unwrap();
    let mut named = 0;
    for line in
        notebook["cells"].as_array().unwrap().iter().flat_map(|cell| {
            cell["source"].as_array().into_iter().flatten().filter_map(Value::as_str)
        })
    {
        let pieces = line.split(|c: char| !(c.is_ascii_alphanumeric() || "_./-".contains(c)));
        for path in pieces.filter(|piece| piece.starts_with("crates/") && *piece != NEW) {
            let path = path.trim_end_matches('.');
            assert!(root().join(path).exists(), "notebooks/add-a-score.ipynb names {path}");
            named += 1;
        }
    }
    assert!(named > 30, "the notebook names {named} paths");
}

/// Links within the repository lead somewhere.
#[test]
fn links_of_pages_lead_somewhere() {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let top = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let others = ["results/README.md", "data/README.md"].map(|page| root().join(page));
    let pages = docs.chain(top).chain(others);
    let pages = pages.filter(|page| page.extension().is_some_and(|ending| ending == "md"));
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (path, _) = link.split_once('#').unwrap_or((link, ""));
            let place = page.parent().unwrap().join(path);
            assert!(place.exists(), "{} links to {link}", page.display());
        }
    }
}

#[test]
fn paths_are_told_from_other_words() {
    let found: Vec<&str> =
        paths("`a/b`, `c.rs` and `--help`, `results/<run>`, `Kind::of`, `d`").collect();
    assert_eq!(found, ["a/b", "c.rs"]);
    assert_eq!(
        missing("`xtask/src/main.rs`, `no/such.rs`; `cuts/src/lib.rs`, `slim.rs`"),
        ["no/such.rs"]
    );
}
