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

/// The text of the ids of a text, as a program that reads the tokenizer.json gets it.
fn there_and_back(tokenizer: &Tokenizer, text: &str) -> String {
    let written: tokenizers::Tokenizer = tokenizer.json().unwrap().parse().unwrap();
    written.decode(&tokenizer.encode(text).unwrap(), false).unwrap()
}

/// What is made of a GGUF file is for generating, too: its ids become the text again.
#[test]
fn ids_of_a_gguf_file_become_text_again() {
    let folder = &models()[0];
    let own = Tokenizer::from_folder(folder).unwrap();
    let gguf = read_back(&own.gguf(folder).unwrap());
    let front = own.encode("").unwrap().len();
    for text in [TEXT, "Mira walked.\n", " a  b"] {
        let back = there_and_back(&gguf, text);
        let front = if front == 0 { "" } else { "<|endoftext|>" };
        assert_eq!(back, format!("{front}{text}"));
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(golden.join("gemma.model"), folder.path().join("tokenizer.model")).unwrap();
    let settings = "{\"tokenizer_class\": \"GemmaTokenizer\"}";
    std::fs::write(folder.path().join("tokenizer_config.json"), settings).unwrap();
    let own = Tokenizer::from_folder(folder.path()).unwrap();
    let vocabulary = GgufVocabulary { begins_with: None, ..own.gguf(folder.path()).unwrap() };
    let gguf = read_back(&vocabulary);
    for text in ["The cat sat.", "It's 12345 apples — naïve?", " a  b", "Ω 🙂"] {
        assert_eq!(there_and_back(&gguf, text), text);
    }
}

/// SentencePiece's BPE, as Llama 2 and Gemma have it: from a tokenizer.model beside the weights.
#[test]
fn sentencepiece_keeps_its_ids() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (file, class) in [("llama.model", "LlamaTokenizer"), ("gemma.model", "GemmaTokenizer")] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(golden.join(file), folder.path().join("tokenizer.model")).unwrap();
        let settings = format!("{{\"tokenizer_class\": \"{class}\"}}");
        std::fs::write(folder.path().join("tokenizer_config.json"), settings).unwrap();
        let own = Tokenizer::from_folder(folder.path()).unwrap();
        let vocabulary = own.gguf(folder.path()).unwrap();
        assert_eq!(vocabulary.model, "llama", "{file}");
        let again = read_back(&vocabulary);
        for text in ["The cat sat.", "It's 12345 apples — naïve?", " a  b", "Ω 🙂", ""] {
            assert_eq!(again.encode(text).unwrap(), own.encode(text).unwrap(), "{file}: {text:?}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(golden.join("unigram.model"), folder.path().join("tokenizer.model")).unwrap();
    let settings = "{\"tokenizer_class\": \"T5Tokenizer\"}";
    std::fs::write(folder.path().join("tokenizer_config.json"), settings).unwrap();
    if let Ok(own) = Tokenizer::from_folder(folder.path()) {
        let error = own.gguf(folder.path()).unwrap_err().to_string();
        assert!(error.contains("unigram"), "{error}");
    }
}
