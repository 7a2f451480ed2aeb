//! Calibration text must not hold what is tested.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::{CorpusError, Source, Text};

/// Documents shorter than this (characters without white space at the ends) are too ordinary to count:
/// headings, boiler-plate.
const SHORTEST: usize = 40;
const EXCERPT_CHARS: usize = 60;

/// Refuses a text that has a document in common with what is tested (the same characters, white space at
/// the ends aside). Of items with named fields every string counts as one.
///
/// # Errors
/// [`CorpusError::Overlap`] with the beginning of the first shared document.
pub fn shared_document(calibration: &Text, test: Source<'_>) -> Result<(), CorpusError> {
    let known: BTreeMap<[u8; 32], ()> =
        calibration.documents().iter().filter_map(|d| Some((key(d)?, ()))).collect();
    let (path, tested) = match test {
        Source::Text(text) => (text.path(), text.documents()),
        Source::Records(records) => (records.path(), records.strings()),
    };
    let shared = tested.into_iter().find(|d| key(d).is_some_and(|k| known.contains_key(&k)));
    match shared {
        None => Ok(()),
        Some(document) => Err(CorpusError::Overlap {
            calibration: calibration.path().to_owned(),
            test: path.to_owned(),
            excerpt: document.trim().chars().take(EXCERPT_CHARS).collect(),
        }),
    }
}

fn key(document: &str) -> Option<[u8; 32]> {
    let document = document.trim();
    (document.chars().count() >= SHORTEST).then(|| Sha256::digest(document).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_line_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, lines: &[&str]| {
            let path = folder.path().join(name);
            let lines: Vec<String> =
                lines.iter().map(|l| serde_json::json!({ "text": l }).to_string()).collect();
            std::fs::write(&path, lines.join("\n")).unwrap();
            Text::read(&path).unwrap()
        };
        let long = "a sentence that is long enough to be told from every other one";
        let other = "another sentence that is long enough to be told from the first";
        let a = write("a.jsonl", &[long, "short"]);
        let b = write("b.jsonl", &[other, "short"]);
        let c = write("c.jsonl", &[other, &format!("{long} ")]);
        assert!(shared_document(&a, Source::Text(&b)).is_ok(), "short lines do not count");
        let error = shared_document(&a, Source::Text(&c)).unwrap_err().to_string();
        assert!(error.contains("a sentence that is long"), "{error}");
        assert!(shared_document(&a, Source::Text(&a)).is_err());
        let path = folder.path().join("d.jsonl");
        let item = serde_json::json!({ "question": "short", "choices": { "text": ["x", long] } });
        std::fs::write(&path, item.to_string()).unwrap();
        let items = crate::Records::read(&path).unwrap();
        assert!(shared_document(&a, Source::Records(&items)).is_err());
        assert!(shared_document(&b, Source::Records(&items)).is_ok());
    }
}
