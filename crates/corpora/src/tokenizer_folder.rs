//! The tokenizer of a Hugging Face folder: `tokenizer.json`, or the files that older folders have in its
//! place, as those of OPT do: `vocab.json`, `merges.txt` and `tokenizer_config.json`.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;

use crate::{BytePairs, CorpusError, Tokenizer};

/// What `tokenizer_config.json` says, as far as ids depend on it.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Settings {
    tokenizer_class: Option<String>,
    add_bos_token: bool,
    add_prefix_space: bool,
    bos_token: Option<Special>,
    eos_token: Option<Special>,
    unk_token: Option<Special>,
    pad_token: Option<Special>,
}

/// A special token: its text, alone or among settings.
#[derive(Deserialize)]
#[serde(untagged)]
enum Special {
    Text(String),
    Settings { content: String },
}

impl Special {
    fn text(&self) -> &str {
        match self {
            Special::Text(text) | Special::Settings { content: text } => text,
        }
    }
}

impl Tokenizer {
    /// Reads the tokenizer of a folder, as `transformers` does: from `tokenizer.json` where it is there,
    /// else as GPT-2's byte-level pairs, with the token of the beginning in front where
    /// `add_bos_token` asks for it.
    ///
    /// # Errors
    /// Files that are missing or do not fit each other, and other kinds of tokenizers without a
    /// `tokenizer.json`.
    pub fn from_folder(folder: &Path) -> Result<Self, CorpusError> {
        let whole = folder.join("tokenizer.json");
        let vocabulary = folder.join("vocab.json");
        // Where neither is there, the first is the one that is missed.
        if whole.exists() || !vocabulary.exists() {
            return Self::from_file(&whole);
        }
        let bad = |reason: String| CorpusError::Tokenizer { path: vocabulary.clone(), reason };
        let settings = settings(&folder.join("tokenizer_config.json"))?;
        let class = settings.tokenizer_class.as_deref().unwrap_or("GPT2Tokenizer");
        if !["GPT2Tokenizer", "GPT2TokenizerFast"].contains(&class) || settings.add_prefix_space {
            return Err(bad(format!(
                "a {class} {}can be read from its tokenizer.json only, which is not there",
                if settings.add_prefix_space { "with add_prefix_space " } else { "" }
            )));
        }
        let ids: BTreeMap<String, u32> = serde_json::from_str(&text(&vocabulary)?)
            .map_err(|error| bad(format!("expected an object of tokens and ids: {error}")))?;
        let tokens = in_id_order(ids).map_err(bad)?;
        let merges = text(&folder.join("merges.txt"))?;
        let is_header = |(line, text): (usize, &str)| line == 0 && text.starts_with("#version");
        let rules =
            merges.lines().enumerate().filter(|&line| !is_header(line)).map(|(_, rule)| rule);
        let merges: Vec<String> =
            rules.filter(|rule| !rule.is_empty()).map(str::to_owned).collect();
        let Settings { bos_token, eos_token, unk_token, pad_token, .. } = &settings;
        let special =
            [bos_token, eos_token, unk_token, pad_token].map(|s| s.as_ref().map(Special::text));
        let is_special = |token: &String| special.contains(&Some(token));
        let bos = match bos_token.as_ref().filter(|_| settings.add_bos_token) {
            None => None,
            Some(token) => {
                let id = tokens.iter().position(|other| other == token.text());
                let id = id.and_then(|id| u32::try_from(id).ok());
                Some(id.ok_or_else(|| bad(format!("bos_token `{}` has no id", token.text())))?)
            }
        };
        let control: Vec<bool> = tokens.iter().map(is_special).collect();
        Self::from_byte_pairs(&BytePairs {
            path: &vocabulary,
            model: "gpt2",
            pre_tokenizer: "gpt-2",
            tokens: &tokens,
            control: &control,
            merges: &merges,
            bos,
        })
    }
}

fn settings(path: &Path) -> Result<Settings, CorpusError> {
    if !path.exists() {
        return Ok(Settings::default());
    }
    serde_json::from_str(&text(path)?)
        .map_err(|e| CorpusError::Tokenizer { path: path.to_owned(), reason: e.to_string() })
}

fn text(path: &Path) -> Result<String, CorpusError> {
    fs::read_to_string(path).map_err(|source| CorpusError::Io { path: path.to_owned(), source })
}

/// Tokens by id, which must be 0, 1, 2, ….
fn in_id_order(ids: BTreeMap<String, u32>) -> Result<Vec<String>, String> {
    let mut tokens: Vec<(u32, String)> = ids.into_iter().map(|(token, id)| (id, token)).collect();
    tokens.sort();
    match tokens.iter().zip(0..).find(|((id, _), expected)| id != expected) {
        Some((_, missing)) => Err(format!("no token has the id {missing}, or two have it")),
        None => Ok(tokens.into_iter().map(|(_, token)| token).collect()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The tokenizer of the golden OPT model, taken apart into the files of facebook/opt-1.3b.
    fn old_form() -> (Tokenizer, tempfile::TempDir) {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden/opt");
        let whole = Tokenizer::from_folder(&golden).unwrap();
        let json = fs::read_to_string(golden.join("tokenizer.json")).unwrap();
        let json: Value = serde_json::from_str(&json).unwrap();
        let merges = json["model"]["merges"].as_array().unwrap().iter();
        let rule = |merge: &Value| match merge {
            Value::Array(pair) => {
                format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap())
            }
            rule => rule.as_str().unwrap().to_owned(),
        };
        let merges: Vec<String> = merges.map(rule).collect();
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
        write("vocab.json", json["model"]["vocab"].to_string());
        write("merges.txt", format!("#version: 0.2\n{}\n", merges.join("\n")));
        let eos = json!({ "content": "</s>", "single_word": false, "__type": "AddedToken" });
        let settings = json!({
            "add_bos_token": true, "add_prefix_space": false, "bos_token": eos, "eos_token": eos,
            "unk_token": eos, "pad_token": "<pad>", "tokenizer_class": "GPT2Tokenizer",
        });
        write("tokenizer_config.json", settings.to_string());
        (whole, folder)
    }

    #[test]
    fn both_forms_give_the_same_ids() {
        let (whole, folder) = old_form();
        let parts = Tokenizer::from_folder(folder.path()).unwrap();
        for text in ["", "the cat", " the  cat\n\nsat.", "a </s> b", "zählt 12,345 “so”"] {
            assert_eq!(parts.encode(text).unwrap(), whole.encode(text).unwrap(), "{text:?}");
        }
        assert_eq!(parts.encode("").unwrap(), [2], "`</s>` in front");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let (_, folder) = old_form();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let error = || Tokenizer::from_folder(folder.path()).err().unwrap().to_string();
        write("tokenizer_config.json", r#"{"tokenizer_class": "RobertaTokenizer"}"#);
        assert!(error().contains("a RobertaTokenizer can be read from its tokenizer.json only"));
        write("tokenizer_config.json", r#"{"add_prefix_space": true}"#);
        assert!(error().contains("with add_prefix_space"), "{}", error());
        write("tokenizer_config.json", r#"{"add_bos_token": true, "bos_token": "<bos>"}"#);
        assert!(error().contains("bos_token `<bos>` has no id"), "{}", error());
        write("vocab.json", r#"{"a": 0, "b": 2}"#);
        assert!(error().contains("no token has the id 1"), "{}", error());
        fs::remove_file(folder.path().join("vocab.json")).unwrap();
        assert!(error().contains("tokenizer.json"), "{}", error());
    }
}
