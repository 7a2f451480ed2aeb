//! Folders and vocabularies of `tests/golden` against the ids of transformers and sentencepiece:
//! tokenizer.json, vocab.json with merges.txt or tokenizer.model, with and without each of the files that
//! may stand beside them, on texts with special and added tokens.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{fs, path::PathBuf};

use corpora::{Metadata, Tokenizer, parse_sentencepiece};
use serde::Deserialize;
use serde_json::{Map, Value};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

#[derive(Deserialize)]
struct Expected {
    folders: Vec<Folder>,
    gguf: Vec<Vocabulary>,
}

#[derive(Deserialize)]
struct Folder {
    form: String,
    class: String,
    vocabulary: Map<String, Value>,
    beside: Map<String, Value>,
    texts: Vec<String>,
    ids: Vec<Vec<u32>>,
}

#[derive(Deserialize)]
struct Vocabulary {
    model: String,
    pre: Option<String>,
    tokens: Option<Vec<String>>,
    scores: Option<Vec<f32>>,
    kinds: Option<Vec<u8>>,
    prefix: Option<bool>,
    tidy: Option<bool>,
    unknown: Option<u32>,
    texts: Vec<String>,
    ids: Vec<Vec<u32>>,
}

fn expected() -> Expected {
    serde_json::from_str(&fs::read_to_string(golden("expected.json")).unwrap()).unwrap()
}

fn laid_out(case: &Folder) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, source) in &case.vocabulary {
        fs::copy(golden(source.as_str().unwrap()), folder.path().join(name)).unwrap();
    }
    for (name, content) in &case.beside {
        fs::write(folder.path().join(name), content.to_string()).unwrap();
    }
    folder
}

#[test]
fn every_combination_of_files_gives_the_ids_of_the_reference() {
    let mut wrong = Vec::new();
    let folders = expected().folders;
    assert!(folders.len() > 50, "{} folders", folders.len());
    for case in &folders {
        let folder = laid_out(case);
        let what = format!("{} by {} with {:?}", case.form, case.class, case.beside);
        let tokenizer = match Tokenizer::from_folder(folder.path()) {
            Ok(tokenizer) => tokenizer,
            Err(error) => {
                wrong.push(format!("{what}: {error}"));
                continue;
            }
        };
        assert_eq!(case.texts.len(), case.ids.len());
        for (text, ids) in case.texts.iter().zip(&case.ids) {
            let found = tokenizer.encode(text).unwrap();
            if found != *ids {
                wrong.push(format!("{what}: {text:?}\n  found    {found:?}\n  expected {ids:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn vocabularies_of_gguf_files_give_the_ids_of_the_reference() {
    let bytes: Map<String, Value> =
        serde_json::from_str(&fs::read_to_string(golden("vocab.json")).unwrap()).unwrap();
    let mut tokens = vec![String::new(); bytes.len()];
    for (token, id) in &bytes {
        tokens[id.as_u64().unwrap() as usize].clone_from(token);
    }
    let merges = fs::read_to_string(golden("merges.txt")).unwrap();
    let merges: Vec<String> = merges.lines().skip(1).map(str::to_owned).collect();
    let byte_kinds: Vec<u8> = tokens.iter().map(|t| if t == "<|end|>" { 3 } else { 1 }).collect();
    let path = PathBuf::from("model.gguf");
    for case in &expected().gguf {
        let own = case.tokens.is_some();
        let tokenizer = Tokenizer::from_gguf(&Metadata {
            path: &path,
            model: &case.model,
            pre_tokenizer: case.pre.as_deref(),
            tokens: case.tokens.as_deref().unwrap_or(&tokens),
            scores: case.scores.as_deref(),
            kinds: Some(case.kinds.as_deref().unwrap_or(&byte_kinds)),
            merges: (!own).then_some(merges.as_slice()),
            charsmap: None,
            bos: None,
            eos: None,
            unknown: case.unknown,
            add_bos: Some(false),
            add_eos: Some(false),
            add_space_prefix: case.prefix,
            remove_extra_whitespaces: case.tidy,
        });
        let tokenizer = tokenizer.unwrap();
        for (text, ids) in case.texts.iter().zip(&case.ids) {
            let found = tokenizer.encode(text).unwrap();
            assert_eq!(found, *ids, "{} {:?}: {text:?}", case.model, case.pre);
        }
    }
}

/// A digit by itself, as SmolLM2's own tokenizer takes it: not the class of transformers, which makes
/// pieces of several digits.
#[test]
fn a_tokenizer_json_says_how_a_text_is_cut() {
    let case = expected().folders.into_iter().find(|case| case.form == "digits").unwrap();
    let folder = laid_out(&case);
    let ours = Tokenizer::from_folder(folder.path()).unwrap();
    let file = Tokenizer::from_file(&folder.path().join("tokenizer.json")).unwrap();
    let text = "In 1984, 12345.";
    assert_eq!(ours.encode(text).unwrap(), file.encode(text).unwrap());
}

#[test]
fn a_model_file_that_is_cut_or_another_is_an_error() {
    let whole = fs::read(golden("unigram.model")).unwrap();
    assert!(parse_sentencepiece(&whole).is_ok());
    let error = |bytes: &[u8]| parse_sentencepiece(bytes).err().map(|error| error.to_string());
    // Cut between two fields of the message it is a shorter vocabulary; anywhere else it is broken.
    let broken = (0..whole.len()).filter(|length| error(&whole[..*length]).is_some()).count();
    assert!(broken > whole.len() / 2, "{broken} of {}", whole.len());
    let tiktoken = error(b"IQ== 0\nIg== 1\n").unwrap();
    assert!(tiktoken.contains("vocabulary of tiktoken") && tiktoken.contains("save_pretrained"));
    let text = error(b"no model at all").unwrap();
    assert!(text.contains("is no file of SentencePiece") && !text.contains('\n'), "{text}");
}

/// No change of a byte ends the process, whatever the file then says.
#[test]
fn a_damaged_model_file_does_not_panic() {
    for name in ["llama.model", "unigram.model"] {
        let whole = fs::read(golden(name)).unwrap();
        let mut seed = 0x9E37_79B9_u64;
        for _ in 0..400 {
            let mut bytes = whole.clone();
            for _ in 0..3 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = (seed >> 33) as usize % bytes.len();
                bytes[at] = (seed >> 24) as u8;
            }
            if let Ok(tokenizer) = parse_sentencepiece(&bytes) {
                drop(tokenizer.encode("two  spaces, café ﬁsh\t“x” <|sep|>"));
            }
        }
    }
}
