//! The tokenizer of a Hugging Face folder: `tokenizer.json`, or the older pair `vocab.json` and
//! `merges.txt`, which is all that repositories such as `facebook/opt-1.3b` have.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Map, Value};

use crate::{BytePairs, CorpusError, Tokenizer};

impl Tokenizer {
    /// Reads the tokenizer of a folder.
    ///
    /// # Errors
    /// Neither form is there, or what is there cannot be read.
    pub fn from_folder(folder: &Path) -> Result<Self, CorpusError> {
        let json = folder.join("tokenizer.json");
        if json.is_file() {
            return Self::from_file(&json);
        }
        let (vocabulary, merges) = (folder.join("vocab.json"), folder.join("merges.txt"));
        if !vocabulary.is_file() || !merges.is_file() {
            return Err(CorpusError::Tokenizer {
                path: folder.to_owned(),
                reason: "the folder holds neither tokenizer.json nor vocab.json with merges.txt"
                    .to_owned(),
            });
        }
        let settings = settings(&folder.join("tokenizer_config.json"))?;
        let tokens = tokens(&vocabulary)?;
        let special = special_tokens(&settings);
        let bos = match settings.get("add_bos_token").and_then(Value::as_bool) {
            Some(true) => position(&tokens, special.get("bos_token")).map(|id| id as u32),
            _ => None,
        };
        let is_special = |token: &String| special.values().any(|special| special == token);
        let control: Vec<bool> = tokens.iter().map(is_special).collect();
        Self::from_byte_pairs(&BytePairs {
            path: &vocabulary,
            model: "gpt2",
            pre_tokenizer: "gpt-2",
            tokens: &tokens,
            control: &control,
            merges: &rules(&merges)?,
            bos,
        })
    }
}

fn position(tokens: &[String], token: Option<&String>) -> Option<usize> {
    tokens.iter().position(|t| Some(t) == token)
}

fn read(path: &Path) -> Result<String, CorpusError> {
    std::fs::read_to_string(path)
        .map_err(|source| CorpusError::Io { path: path.to_owned(), source })
}

fn bad(path: &Path, reason: impl Into<String>) -> CorpusError {
    CorpusError::Tokenizer { path: path.to_owned(), reason: reason.into() }
}

/// `tokenizer_config.json`; nothing where there is none.
fn settings(path: &Path) -> Result<Map<String, Value>, CorpusError> {
    if !path.is_file() {
        return Ok(Map::new());
    }
    let settings: Map<String, Value> =
        serde_json::from_str(&read(path)?).map_err(|e| bad(path, e.to_string()))?;
    if settings.get("add_prefix_space").and_then(Value::as_bool) == Some(true) {
        return Err(bad(path, "`add_prefix_space` is true, which is not supported"));
    }
    Ok(settings)
}

/// Texts of the special tokens by role; a role is a text, or an object with its `content`.
fn special_tokens(settings: &Map<String, Value>) -> BTreeMap<&'static str, String> {
    const ROLES: [&str; 4] = ["bos_token", "eos_token", "unk_token", "pad_token"];
    let text = |role: &'static str| {
        let value = settings.get(role)?;
        let text = value.as_str().or_else(|| value.get("content")?.as_str())?;
        Some((role, text.to_owned()))
    };
    ROLES.into_iter().filter_map(text).collect()
}

/// Token texts in id order.
fn tokens(path: &Path) -> Result<Vec<String>, CorpusError> {
    let ids: BTreeMap<String, usize> =
        serde_json::from_str(&read(path)?).map_err(|e| bad(path, e.to_string()))?;
    let mut tokens = vec![None; ids.len()];
    for (token, id) in ids {
        let place = tokens.get_mut(id).filter(|place| place.is_none());
        *place.ok_or_else(|| bad(path, format!("id {id} is used twice or leaves a gap")))? =
            Some(token);
    }
    // As many ids as places, none used twice: every place is filled.
    Ok(tokens.into_iter().flatten().collect())
}

/// Merge rules, strongest first; the first line may name the version of the format.
fn rules(path: &Path) -> Result<Vec<String>, CorpusError> {
    let text = read(path)?;
    let lines = text.lines().enumerate();
    let rules =
        lines.filter(|(i, line)| !line.is_empty() && !(*i == 0 && line.starts_with("#version")));
    Ok(rules.map(|(_, line)| line.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The golden tokenizer of OPT, taken apart into the older pair of files.
    fn older_form(folder: &Path) -> Tokenizer {
        let golden =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden/opt/tokenizer.json");
        let json: Value = serde_json::from_str(&std::fs::read_to_string(&golden).unwrap()).unwrap();
        let merges = json["model"]["merges"].as_array().unwrap().iter().map(|pair| {
            let pair = pair.as_array().unwrap();
            format!("{} {}\n", pair[0].as_str().unwrap(), pair[1].as_str().unwrap())
        });
        let merges = format!("#version: 0.2\n{}", merges.collect::<String>());
        std::fs::write(folder.join("vocab.json"), json["model"]["vocab"].to_string()).unwrap();
        std::fs::write(folder.join("merges.txt"), merges).unwrap();
        let settings = serde_json::json!({
            "add_bos_token": true,
            "add_prefix_space": false,
            "bos_token": { "content": "</s>" },
            "eos_token": "</s>",
            "pad_token": "<pad>",
        });
        std::fs::write(folder.join("tokenizer_config.json"), settings.to_string()).unwrap();
        Tokenizer::from_file(&golden).unwrap()
    }

    #[test]
    fn the_older_pair_of_files_gives_the_same_ids() {
        let folder = tempfile::tempdir().unwrap();
        let expected = older_form(folder.path());
        let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
        for text in [" The lamp in the tower , lit by one .\n\n", "", "</s> 1874</s>"] {
            let ids = tokenizer.encode(text).unwrap();
            assert_eq!(ids, expected.encode(text).unwrap(), "{text:?}");
            assert_eq!(ids[0], 2, "`</s>` stands in front");
        }
        assert_eq!(tokenizer.vocabulary_size(), expected.vocabulary_size());
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let message = |folder: &Path| Tokenizer::from_folder(folder).err().unwrap().to_string();
        assert!(message(folder.path()).contains("merges.txt"));
        older_form(folder.path());
        std::fs::write(folder.path().join("vocab.json"), r#"{"a": 0, "b": 2}"#).unwrap();
        assert!(message(folder.path()).contains("id 2"), "{}", message(folder.path()));
    }
}
