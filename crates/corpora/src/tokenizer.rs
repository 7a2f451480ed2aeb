//! Tokenizers: `tokenizer.json`, or rebuilt from the vocabulary and merges of a GGUF file.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use ahash::AHashMap;
use sha2::{Digest, Sha256};
use tokenizers::{
    AddedToken, PreTokenizerWrapper, models::bpe::BPE, pre_tokenizers::byte_level::ByteLevel,
    processors::template::TemplateProcessing,
};

use crate::CorpusError;

/// A byte-level BPE tokenizer in parts, as GGUF files carry it.
#[derive(Clone, Debug)]
pub struct BytePairs<'a> {
    /// The file it comes from, for messages.
    pub path: &'a Path,
    /// Kind of model; `gpt2` is byte-level BPE.
    pub model: &'a str,
    /// Name of the pre-tokenizer.
    pub pre_tokenizer: &'a str,
    /// Token texts in id order, in the byte-level alphabet.
    pub tokens: &'a [String],
    /// Whether each id is a control token.
    pub control: &'a [bool],
    /// Merge rules `"left right"`, strongest first.
    pub merges: &'a [String],
    /// Id that stands in front of every text, if any.
    pub bos: Option<u32>,
}

/// Text to ids.
pub struct Tokenizer {
    path: PathBuf,
    inner: tokenizers::Tokenizer,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// The file cannot be read or is not a tokenizer.
    pub fn from_file(path: &Path) -> Result<Self, CorpusError> {
        let json = std::fs::read_to_string(path)
            .map_err(|source| CorpusError::Io { path: path.to_owned(), source })?;
        let mut inner = tokenizers::Tokenizer::from_str(&json).map_err(bad(path))?;
        // Some files ask for a cut or for padding; neither belongs into an evaluation.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(bad(path))?;
        Ok(Self { path: path.to_owned(), inner })
    }

    /// Rebuilds a tokenizer from its parts.
    ///
    /// # Errors
    /// A kind of model or a pre-tokenizer that is not known, or merges that do not fit the vocabulary.
    pub fn from_byte_pairs(parts: &BytePairs<'_>) -> Result<Self, CorpusError> {
        let bad_part =
            |reason: String| CorpusError::Tokenizer { path: parts.path.to_owned(), reason };
        if parts.model != "gpt2" {
            return Err(bad_part(format!(
                "model `{}` cannot be rebuilt, byte-level BPE (`gpt2`) can; use the model's folder with \
                 its tokenizer.json instead",
                parts.model
            )));
        }
        let merges = parts
            .merges
            .iter()
            .map(|merge| {
                merge.split_once(' ').map(|(left, right)| (left.to_owned(), right.to_owned()))
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| bad_part("a merge rule has no space".to_owned()))?;
        let vocabulary = parts.tokens.iter().cloned().zip(0..).collect::<Vec<(String, u32)>>();
        let bpe = BPE::builder()
            .vocab_and_merges(vocabulary.into_iter().collect::<AHashMap<_, _>>(), merges)
            .build()
            .map_err(bad(parts.path))?;
        let mut inner = tokenizers::Tokenizer::new(bpe);
        let pre = pre_tokenizer(parts.pre_tokenizer).ok_or_else(|| {
            bad_part(format!(
                "pre-tokenizer `{}` is not known (smollm, gpt-2 are); use the model's folder with its \
                 tokenizer.json instead",
                parts.pre_tokenizer
            ))
        })?;
        inner.with_pre_tokenizer(Some(pre));
        inner.with_decoder(Some(ByteLevel::default()));
        let control = parts.tokens.iter().zip(parts.control).filter(|(_, control)| **control);
        let control: Vec<AddedToken> =
            control.map(|(token, _)| AddedToken::from(token.clone(), true)).collect();
        inner.add_special_tokens(control).map_err(bad(parts.path))?;
        if let Some(bos) = parts.bos {
            let token = parts
                .tokens
                .get(bos as usize)
                .ok_or_else(|| bad_part(format!("bos id {bos} is outside of the vocabulary")))?;
            let template = TemplateProcessing::builder()
                .try_single(format!("{token} $A"))
                .map_err(&bad_part)?
                .special_tokens(vec![(token.clone(), bos)])
                .build()
                .map_err(|e| bad_part(e.to_string()))?;
            inner.with_post_processor(Some(template));
        }
        Ok(Self { path: parts.path.to_owned(), inner })
    }

    /// Ids of a text, with the special tokens that the post-processor adds.
    ///
    /// # Errors
    /// What the tokenizer refuses.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, CorpusError> {
        let encoding = self.inner.encode_fast(text, true).map_err(bad(&self.path))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Ids of a text as [`Tokenizer::encode`] gives them, but where the text itself begins with the token
    /// that would be put in front of it, none is put there: so lm-evaluation-harness does it.
    ///
    /// # Errors
    /// What the tokenizer refuses.
    pub fn encode_unless_begun(&self, text: &str) -> Result<Vec<u32>, CorpusError> {
        let front = self.encode("")?.first().and_then(|&id| self.inner.id_to_token(id));
        match front.filter(|front| text.starts_with(front.as_str())) {
            None => self.encode(text),
            Some(_) => {
                let encoding = self.inner.encode_fast(text, false).map_err(bad(&self.path))?;
                Ok(encoding.get_ids().to_vec())
            }
        }
    }

    /// Ids of the vocabulary, added tokens included.
    pub fn vocabulary_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// SHA-256 of the tokenizer in its canonical JSON form, hexadecimal.
    ///
    /// # Errors
    /// Where it cannot be written as JSON.
    pub fn sha256(&self) -> Result<String, CorpusError> {
        let json = self.inner.to_string(false).map_err(bad(&self.path))?;
        Ok(Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// What llama.cpp's names stand for.
///
/// `smollm` is read as transformers reads it from a GGUF file: byte-level pieces alone. llama.cpp
/// splits every digit off first, which joins a line break and the space in front of a digit into one
/// id: 304,978 ids in place of 304,986 for WikiText-2 test. A folder with a tokenizer.json follows that
/// file.
fn pre_tokenizer(name: &str) -> Option<PreTokenizerWrapper> {
    match name {
        "gpt-2" | "smollm" => Some(ByteLevel::new(false, true, true).into()),
        _ => None,
    }
}

fn bad(path: &Path) -> impl Fn(tokenizers::Error) -> CorpusError {
    move |error| CorpusError::Tokenizer { path: path.to_owned(), reason: error.to_string() }
}
