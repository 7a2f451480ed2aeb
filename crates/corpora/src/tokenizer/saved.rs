//! A tokenizer as others read it: as `tokenizer.json`, and as the metadata of a GGUF file.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use super::{
    Tokenizer,
    files::{bad, bytes},
    model_file::ModelFile,
    pre_tokenizers,
};
use crate::CorpusError;

/// What a GGUF file says of a tokenizer (`tokenizer.ggml.*`); the names are those of [`super::Metadata`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GgufVocabulary {
    /// `gpt2` is byte-level BPE, `llama` SentencePiece's BPE.
    pub model: &'static str,
    /// Name of the pre-tokenizer.
    pub pre_tokenizer: &'static str,
    /// Token texts in id order.
    pub tokens: Vec<String>,
    /// Their kinds: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
    pub kinds: Vec<i32>,
    /// Their scores, of SentencePiece.
    pub scores: Option<Vec<f32>>,
    /// Merge rules, of byte-level BPE.
    pub merges: Option<Vec<String>>,
    /// Whether a space is put in front of every text, of SentencePiece.
    pub add_space_prefix: Option<bool>,
    /// The id that stands in front of every text, where one does.
    pub begins_with: Option<u32>,
    /// The id that stands behind every text, where one does.
    pub ends_with: Option<u32>,
}

/// Kinds of tokens.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

impl Tokenizer {
    /// The text of a `tokenizer.json` that does the same.
    ///
    /// # Errors
    /// What is done to the ends of a text, which the format has no words for.
    pub fn json(&self) -> Result<String, CorpusError> {
        if self.edges.space || self.edges.trimmed {
            let reason = "takes or gives white space at the ends of a text in a way that tokenizer.json has \
                          no words for";
            return Err(bad(&self.path, reason.to_owned()));
        }
        let text =
            self.inner.to_string(true).map_err(|error| bad(&self.path, error.to_string()))?;
        Ok(text + "\n")
    }

    /// The vocabulary of a GGUF file that does the same, from a tokenizer.model where the folder has one,
    /// else from what a tokenizer.json says.
    ///
    /// # Errors
    /// A kind of tokenizer, or a way to cut a text, that llama.cpp does not have.
    pub fn gguf(&self, folder: &Path) -> Result<GgufVocabulary, CorpusError> {
        let model = folder.join("tokenizer.model");
        let vocabulary = match model.exists() {
            true => {
                let file =
                    ModelFile::parse(&bytes(&model)?).map_err(|reason| bad(&model, reason))?;
                self.of_pieces(file).map_err(|reason| bad(&model, reason))?
            }
            false => self.of_byte_level().map_err(|reason| bad(&self.path, reason))?,
        };
        let around = self.encode("")?;
        let (begins_with, ends_with) = match around[..] {
            [] => (None, None),
            [only] if self.encode("a")?.first() == Some(&only) => (Some(only), None),
            [only] => (None, Some(only)),
            [first, .., last] => (Some(first), Some(last)),
        };
        Ok(GgufVocabulary { begins_with, ends_with, ..vocabulary })
    }

    fn of_byte_level(&self) -> Result<GgufVocabulary, String> {
        let all = serde_json::to_value(&self.inner).map_err(|error| error.to_string())?;
        let model = &all["model"];
        if model["type"] != "BPE" || model["byte_fallback"] == true {
            return Err("is neither byte-level BPE nor beside a tokenizer.model, and GGUF has no other kind \
                        that is written"
                .to_owned());
        }
        let pre_tokenizer =
            pre_tokenizers::name_of(&all["pre_tokenizer"], model["ignore_merges"] == true)
                .ok_or("cuts a text before BPE by rules that no pre-tokenizer of llama.cpp has")?;
        // Composed characters are what a text has anyway; llama.cpp leaves them as they are.
        if !all["normalizer"].is_null() && all["normalizer"]["type"] != "NFC" {
            return Err("normalises a text first, which llama.cpp does not".to_owned());
        }
        let mut by_id: BTreeMap<u32, (String, i32)> = BTreeMap::new();
        for (token, id) in model["vocab"].as_object().into_iter().flatten() {
            let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
            by_id.insert(id.ok_or("has an id that is no number")?, (token.clone(), NORMAL));
        }
        for (id, added) in self.inner.get_added_tokens_decoder() {
            let kind = if added.special { CONTROL } else { USER_DEFINED };
            by_id.insert(id, (added.content, kind));
        }
        let merges = model["merges"].as_array().into_iter().flatten().map(|rule| match rule {
            Value::String(rule) => Some(rule.clone()),
            Value::Array(pair) => match &pair[..] {
                [Value::String(left), Value::String(right)] => Some(format!("{left} {right}")),
                _ => None,
            },
            _ => None,
        });
        let merges =
            merges.collect::<Option<Vec<_>>>().ok_or("has a merge rule that is no pair")?;
        let (tokens, kinds) = in_order(by_id);
        Ok(GgufVocabulary {
            model: "gpt2",
            pre_tokenizer,
            tokens,
            kinds,
            merges: Some(merges),
            ..GgufVocabulary::default()
        })
    }

    /// With what was added beside the file.
    fn of_pieces(&self, file: ModelFile) -> Result<GgufVocabulary, String> {
        if file.unigram {
            return Err("is a unigram vocabulary, which the families here do not have".to_owned());
        }
        let mut by_id: BTreeMap<u32, (String, i32)> = BTreeMap::new();
        let mut scores = Vec::new();
        for (id, piece) in (0..).zip(file.pieces) {
            by_id.insert(id, (piece.text, piece.kind.number()));
            scores.push(piece.score);
        }
        for (id, added) in self.inner.get_added_tokens_decoder() {
            if by_id.get(&id).is_none_or(|(_, kind)| *kind == NORMAL) {
                let kind = if added.special { CONTROL } else { USER_DEFINED };
                by_id.insert(id, (added.content, kind));
            }
        }
        let (tokens, kinds) = in_order(by_id);
        scores.resize(tokens.len(), -1000.0);
        Ok(GgufVocabulary {
            model: "llama",
            pre_tokenizer: "default",
            tokens,
            kinds,
            scores: Some(scores),
            add_space_prefix: Some(file.dummy_prefix),
            ..GgufVocabulary::default()
        })
    }
}

/// Texts and kinds by id; an id that nothing has gets a token that no text holds.
fn in_order(by_id: BTreeMap<u32, (String, i32)>) -> (Vec<String>, Vec<i32>) {
    let end = by_id.last_key_value().map_or(0, |(id, _)| id + 1);
    (0..end)
        .map(|id| by_id.get(&id).cloned().unwrap_or_else(|| (format!("[PAD{id}]"), UNUSED)))
        .unzip()
}
