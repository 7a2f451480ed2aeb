//! The tokenizer that a GGUF file carries.

use super::{
    GgufFile, GgufValue,
    header::{Kind, Scalar, Value},
    metadata,
};
use crate::LoadError;

/// What a GGUF file says of its tokenizer, as it says it; what a key that is missing stands for is up
/// to whoever builds the tokenizer.
#[derive(Clone, Debug, PartialEq)]
pub struct Vocabulary {
    /// Kind of tokenizer: `gpt2` for byte-level BPE, `llama` for SentencePiece.
    pub model: String,
    /// Name of the pre-tokenizer, such as `smollm`.
    pub pre_tokenizer: Option<String>,
    /// Token texts in id order.
    pub tokens: Vec<String>,
    /// Score of each token.
    pub scores: Option<Vec<f32>>,
    /// Kind of each token: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
    pub kinds: Option<Vec<u8>>,
    /// Merge rules `"left right"`, strongest first.
    pub merges: Option<Vec<String>>,
    /// Map of characters that SentencePiece applies before all else.
    pub charsmap: Option<Vec<u8>>,
    /// Id of the token for the beginning of a text.
    pub bos: Option<u32>,
    /// Id of the token for its end.
    pub eos: Option<u32>,
    /// Id of what is not in the vocabulary.
    pub unknown: Option<u32>,
    /// Whether `bos` is put in front of every text.
    pub add_bos: Option<bool>,
    /// Whether `eos` is put behind every text.
    pub add_eos: Option<bool>,
    /// Whether a space is put in front of every text.
    pub add_space_prefix: Option<bool>,
    /// Whether runs of spaces become one and those at the ends vanish.
    pub remove_extra_whitespaces: Option<bool>,
}

impl GgufFile {
    /// The tokenizer of the file.
    ///
    /// # Errors
    /// Metadata without a tokenizer, values of another type, or lists that are not of one length.
    pub fn vocabulary(&self) -> Result<Vocabulary, LoadError> {
        let key = |name: &str| format!("tokenizer.ggml.{name}");
        let flag = |name: &str| self.flag(&key(name));
        let tokens = self.required(&key("tokens"), self.texts(&key("tokens"))?)?;
        let kinds =
            self.optional(&key("token_type"), "a list of numbers from 1 to 6", |value| {
                let kinds = metadata::scalars(value)?.into_iter();
                let kind = |kind| metadata::whole(kind).filter(|kind| (1..=6).contains(kind));
                kinds.map(|found| u8::try_from(kind(found)?).ok()).collect::<Option<Vec<u8>>>()
            })?;
        let scores = self.optional(&key("scores"), "a list of finite numbers", |value| {
            metadata::scalars(value)?.into_iter().map(finite).collect::<Option<Vec<f32>>>()
        })?;
        let lengths = [
            ("token_type", kinds.as_ref().map(Vec::len)),
            ("scores", scores.as_ref().map(Vec::len)),
        ];
        for (name, length) in lengths {
            if let Some(length) = length.filter(|length| *length != tokens.len()) {
                let reason = format!("has {length} entries, and there are {} tokens", tokens.len());
                return Err(self.bad(&key(name), reason));
            }
        }
        let count = tokens.len();
        Ok(Vocabulary {
            model: self.required(&key("model"), self.text(&key("model"))?)?,
            pre_tokenizer: self.text(&key("pre"))?,
            tokens,
            scores,
            kinds,
            merges: self.texts(&key("merges"))?,
            charsmap: self.optional(&key("precompiled_charsmap"), "a list of bytes", bytes)?,
            bos: self.id(&key("bos_token_id"), count)?,
            eos: self.id(&key("eos_token_id"), count)?,
            unknown: self.id(&key("unknown_token_id"), count)?,
            add_bos: flag("add_bos_token")?,
            add_eos: flag("add_eos_token")?,
            add_space_prefix: flag("add_space_prefix")?,
            remove_extra_whitespaces: flag("remove_extra_whitespaces")?,
        })
    }

    /// Everything that the file says of its tokenizer, chat template included, to be said by another file.
    pub fn tokenizer_entries(&self) -> Vec<(String, GgufValue)> {
        let ours = self.header.metadata.iter().filter(|(key, _)| key.starts_with("tokenizer."));
        ours.filter_map(|(key, value)| Some((key.clone(), value.to_write()?))).collect()
    }

    /// An id, which must be one of a token.
    fn id(&self, key: &str, tokens: usize) -> Result<Option<u32>, LoadError> {
        let Some(id) = self.count(key)? else { return Ok(None) };
        let outside = || self.bad(key, format!("is {id}, and there are {tokens} tokens"));
        let id = u32::try_from(id).ok().filter(|id| (*id as usize) < tokens);
        id.map(Some).ok_or_else(outside)
    }
}

fn finite(score: Scalar) -> Option<f32> {
    match score {
        Scalar::Real(score) if score.is_finite() => Some(score as f32),
        _ => None,
    }
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Scalars(Kind::U8 | Kind::I8, bytes) => Some(bytes.clone()),
        _ => None,
    }
}
