//! A tokenizer that is written gives the ids of the one that was read: as tokenizer.json, and as the
//! metadata of a GGUF file.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::{Path, PathBuf};

use corpora::{GgufVocabulary, Metadata, Tokenizer};

const TEXT: &str = "It's 12345 apples — naïve?\n\n  The  cat sat.\t<|endoftext|> Ω 🙂";

fn models() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/models");
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

/// As a GGUF file would give it back.
fn read_back(vocabulary: &GgufVocabulary) -> Tokenizer {
    let kinds: Vec<u8> = vocabulary.kinds.iter().map(|kind| *kind as u8).collect();
    Tokenizer::from_gguf(&Metadata {
        path: Path::new("written.gguf"),
        model: vocabulary.model,
        pre_tokenizer: Some(vocabulary.pre_tokenizer),
        tokens: &vocabulary.tokens,
        scores: vocabulary.scores.as_deref(),
        kinds: Some(&kinds),
        merges: vocabulary.merges.as_deref(),
        charsmap: None,
        bos: vocabulary.begins_with,
        eos: vocabulary.ends_with,
        unknown: None,
        add_bos: Some(vocabulary.begins_with.is_some()),
        add_eos: Some(vocabulary.ends_with.is_some()),
        add_space_prefix: vocabulary.add_space_prefix,
        remove_extra_whitespaces: None,
    })
    .unwrap()
}

#[test]
fn small_models_keep_their_ids() {
    for folder in models() {
        let own = Tokenizer::from_folder(&folder).unwrap();
        let written = tempfile::tempdir().unwrap();
        let path = written.path().join("tokenizer.json");
        std::fs::write(&path, own.json().unwrap()).unwrap();
        let again = Tokenizer::from_file(&path).unwrap();
        let vocabulary = own.gguf(&folder).unwrap();
        assert_eq!((vocabulary.model, vocabulary.pre_tokenizer), ("gpt2", "gpt-2"));
        let gguf = read_back(&vocabulary);
        let story = "Mira walked to the harbour. \"Where is the baker?\" asked Tom.\n";
        for text in [TEXT, story, "", " a"] {
            let ids = own.encode(text).unwrap();
            assert_eq!(again.encode(text).unwrap(), ids, "{}", folder.display());
            assert_eq!(gguf.encode(text).unwrap(), ids, "{}", folder.display());
        }
    }
}
