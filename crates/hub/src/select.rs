//! Which files of a repository are needed, from the list of all of them.
//!
//! A repository often holds the same weights several times (safetensors, PyTorch, TensorFlow, ONNX,
//! quantised): one form is chosen, in the order of [`WEIGHTS`].

use std::collections::BTreeSet;
use std::path::{Component, Path};

use plan::Selection;
use serde_json::Value;

use crate::HubError;

/// The forms of weights, best first: a single file, or the index that names its parts.
pub const WEIGHTS: &[&str] = &[
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

const CONFIG: &str = "config.json";
/// The tokenizer as one file, and what older repositories have in its place.
const TOKENIZER: &[&str] = &["tokenizer.json"];
const VOCABULARY: &[&str] = &["vocab.json", "merges.txt"];
const SENTENCEPIECE: &[&str] = &["tokenizer.model"];
/// What says more of any of them, where it is there.
const TOKENIZER_SETTINGS: &[&str] =
    &["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];

/// The files that are needed, but for the parts that an index among them names ([`parts`]).
///
/// # Errors
/// A repository without configuration, weights, tokenizer or the file that was asked for.
pub fn files(repo: &str, listing: &[String], wanted: &Selection) -> Result<Vec<String>, HubError> {
    let has = |name: &&str| listing.iter().any(|file| file == name);
    let missing = |path: &str| HubError::NoFile {
        repo: repo.to_owned(),
        path: path.to_owned(),
        nearest: plan::nearest(path, listing.iter().map(String::as_str)).map(str::to_owned),
    };
    let chosen = match wanted {
        Selection::File(path) if has(&path.as_str()) => vec![path.as_str()],
        Selection::File(path) => return Err(missing(path)),
        Selection::Tokenizer => {
            let mut chosen = tokenizer(listing);
            if chosen.is_empty() {
                return Err(HubError::NoTokenizer { repo: repo.to_owned() });
            }
            // The family decides how an old vocabulary cuts a text.
            chosen.extend(Some(CONFIG).filter(has));
            chosen
        }
        Selection::Model => {
            let weights = WEIGHTS.iter().copied().find(has);
            let weights = weights.ok_or_else(|| no_weights(repo, listing))?;
            if !has(&CONFIG) {
                return Err(missing(CONFIG));
            }
            [vec![CONFIG, weights], tokenizer(listing)].concat()
        }
    };
    let mut chosen: Vec<String> = chosen.into_iter().map(str::to_owned).collect();
    chosen.sort();
    Ok(chosen)
}

fn tokenizer(listing: &[String]) -> Vec<&'static str> {
    let has = |name: &&str| listing.iter().any(|file| file == name);
    let form = [TOKENIZER, VOCABULARY, SENTENCEPIECE].into_iter().find(|form| form.iter().all(has));
    let Some(form) = form else { return Vec::new() };
    let settings = TOKENIZER_SETTINGS.iter().filter(|name| has(name));
    form.iter().chain(settings).copied().collect()
}

fn no_weights(repo: &str, listing: &[String]) -> HubError {
    let is_gguf = |file: &&String| file.ends_with(".gguf");
    let gguf = listing.iter().filter(is_gguf).cloned().collect();
    HubError::NoWeights { repo: repo.to_owned(), gguf }
}

/// Whether a file names the parts of weights.
pub fn is_index(path: &str) -> bool {
    path.ends_with(".index.json")
}

/// The parts that an index names, all of which must be in the repository.
///
/// # Errors
/// A text that is no index, or parts that are not there.
pub fn parts(
    repo: &str,
    index: &str,
    text: &str,
    listing: &[String],
) -> Result<Vec<String>, HubError> {
    let bad = || HubError::Index { repo: repo.to_owned(), index: index.to_owned() };
    let value: Value = serde_json::from_str(text).map_err(|_| bad())?;
    let map = value.get("weight_map").and_then(Value::as_object).ok_or_else(bad)?;
    let parts: BTreeSet<&str> =
        map.values().map(|part| part.as_str().ok_or_else(bad)).collect::<Result<_, _>>()?;
    let is_missing = |part: &&&str| !listing.iter().any(|file| file == **part);
    let missing: Vec<String> =
        parts.iter().filter(is_missing).map(|&part| part.to_owned()).collect();
    if parts.is_empty() {
        return Err(bad());
    }
    if !missing.is_empty() {
        let (repo, index) = (repo.to_owned(), index.to_owned());
        return Err(HubError::MissingParts { repo, index, missing });
    }
    Ok(parts.into_iter().map(str::to_owned).collect())
}

/// Whether a path stays inside the folder that it is put in.
pub fn is_inside(path: &str) -> bool {
    let mut components = Path::new(path).components();
    !path.is_empty()
        && !path.contains('\\')
        && components.all(|c| matches!(c, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(files: &[&str]) -> Vec<String> {
        files.iter().map(|&file| file.to_owned()).collect()
    }

    #[test]
    fn one_form_of_the_weights_is_chosen() {
        let all = [
            ".gitattributes",
            "README.md",
            "config.json",
            "flax_model.msgpack",
            "generation_config.json",
            "merges.txt",
            "model.safetensors",
            "onnx/model.onnx",
            "pytorch_model.bin",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "vocab.json",
        ];
        let choose = |files: &[&str]| super::files("a/b", &listing(files), &Selection::Model);
        let expected = [
            "config.json",
            "model.safetensors",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer_config.json",
        ];
        assert_eq!(choose(&all).unwrap(), expected);
        // As facebook/opt-1.3b is: neither safetensors nor tokenizer.json.
        let old: Vec<&str> = all
            .into_iter()
            .filter(|file| !["model.safetensors", "tokenizer.json"].contains(file))
            .collect();
        let expected = [
            "config.json",
            "merges.txt",
            "pytorch_model.bin",
            "special_tokens_map.json",
            "tokenizer_config.json",
            "vocab.json",
        ];
        assert_eq!(choose(&old).unwrap(), expected);
        // As a Llama 2 of the first hour is: SentencePiece's file alone.
        let alone = ["added_tokens.json", "config.json", "model.safetensors", "tokenizer.model"];
        assert_eq!(choose(&alone).unwrap(), alone);
        let words = super::files("a/b", &listing(&alone), &Selection::Tokenizer).unwrap();
        assert_eq!(words, ["added_tokens.json", "config.json", "tokenizer.model"]);
        // As state-spaces/mamba2-130m is: no tokenizer at all.
        let bare = choose(&["config.json", "pytorch_model.bin"]).unwrap();
        assert_eq!(bare, ["config.json", "pytorch_model.bin"]);
        let parts = choose(&["config.json", "model.safetensors.index.json", "pytorch_model.bin"]);
        assert_eq!(parts.unwrap(), ["config.json", "model.safetensors.index.json"]);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let choose = |files: &[&str], wanted: &Selection| {
            super::files("a/b", &listing(files), wanted).unwrap_err().to_string()
        };
        let gguf = choose(&["q4.gguf", "q8.gguf", "README.md"], &Selection::Model);
        assert!(gguf.contains("--file q4.gguf") && gguf.contains("q8.gguf"), "{gguf}");
        let nothing = choose(&["README.md"], &Selection::Model);
        assert!(nothing.contains("no weights"), "{nothing}");
        let config = choose(&["model.safetensors"], &Selection::Model);
        assert!(config.contains("config.json"), "{config}");
        let file = choose(&["q4_k_m.gguf"], &Selection::File("q4_k.gguf".to_owned()));
        assert!(file.contains("did you mean `q4_k_m.gguf`?"), "{file}");
        let tokenizer = choose(&["config.json", "vocab.json"], &Selection::Tokenizer);
        assert!(tokenizer.contains("no tokenizer"), "{tokenizer}");
    }

    #[test]
    fn an_index_names_parts_that_must_be_there() {
        let text =
            r#"{"metadata": {}, "weight_map": {"a": "m-2.bin", "b": "m-1.bin", "c": "m-2.bin"}}"#;
        let all = listing(&["m-1.bin", "m-2.bin", "m-3.bin"]);
        assert_eq!(parts("a/b", "i", text, &all).unwrap(), ["m-1.bin", "m-2.bin"]);
        let error = parts("a/b", "i", text, &all[..1]).unwrap_err().to_string();
        assert!(error.contains("m-2.bin") && !error.contains("m-1.bin"), "{error}");
        for bad in ["", "{}", r#"{"weight_map": {}}"#, r#"{"weight_map": {"a": 1}}"#] {
            assert!(parts("a/b", "i", bad, &all).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_do_not_leave_their_folder() {
        assert!(is_inside("a.json") && is_inside("data/a.json"));
        for bad in ["", "/etc/passwd", "../a", "a/../../b", "./a", "a\\..\\b"] {
            assert!(!is_inside(bad), "{bad}");
        }
    }
}
