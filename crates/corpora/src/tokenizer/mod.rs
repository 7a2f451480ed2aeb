//! Tokenizers: of a Hugging Face folder in all its forms, and of the metadata of a GGUF file.

mod additions;
mod byte_level;
mod charsmap;
mod class;
mod edges;
mod files;
mod folder;
mod gguf;
mod model_file;
mod pieces;
mod pre_tokenizers;
mod protobuf;
mod saved;
mod settings;

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

pub use gguf::Metadata;
pub use saved::GgufVocabulary;

use crate::CorpusError;
use edges::Edges;
use files::bad;

/// Text to ids.
pub struct Tokenizer {
    path: PathBuf,
    inner: tokenizers::Tokenizer,
    edges: Edges,
    /// Ids that the model has rows for, where that is known.
    rows: Option<usize>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json` alone.
    ///
    /// # Errors
    /// The file cannot be read or is not a tokenizer.
    pub fn from_file(path: &Path) -> Result<Self, CorpusError> {
        let json = files::text(path)?;
        let inner = tokenizers::Tokenizer::from_str(&json).map_err(|error| {
            bad(path, format!("is no tokenizer.json that can be read: {error}; fetch it again"))
        })?;
        Self::finished(path, inner, Edges::default())
    }

    /// A tokenizer without what does not belong into an evaluation: some files ask for a cut or for
    /// padding.
    fn finished(
        path: &Path,
        mut inner: tokenizers::Tokenizer,
        edges: Edges,
    ) -> Result<Self, CorpusError> {
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| bad(path, error.to_string()))?;
        Ok(Self { path: path.to_owned(), inner, edges, rows: None })
    }

    /// The tokenizer of a model with so many rows of embeddings. It may have more ids than that: what
    /// counts is what a text holds, which [`Tokenizer::check`] looks at.
    #[must_use]
    pub fn with_rows(self, rows: usize) -> Self {
        Self { rows: Some(rows), ..self }
    }

    /// Whether the model has a row for each of these ids of a text.
    ///
    /// # Errors
    /// The first id that it has none for.
    pub fn check(&self, ids: &[u32], text: &Path) -> Result<(), CorpusError> {
        let Some(rows) = self.rows else { return Ok(()) };
        let Some(id) = ids.iter().find(|id| **id as usize >= rows) else { return Ok(()) };
        let token = self.inner.id_to_token(*id).unwrap_or_default();
        let reason = format!(
            "{} holds `{token}`, id {id}, and the model has rows for {rows} ids only (vocab_size): \
             the tokenizer is of another model, or the token was added to it alone",
            text.display()
        );
        Err(bad(&self.path, reason))
    }

    /// Ids of a text, with the special tokens that the post-processor adds.
    ///
    /// # Errors
    /// What the tokenizer refuses.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, CorpusError> {
        self.ids(text, true)
    }

    /// Ids of a text as [`Tokenizer::encode`] gives them, but where the text itself begins with the token
    /// that would be put in front of it, none is put there: so lm-evaluation-harness does it.
    ///
    /// # Errors
    /// What the tokenizer refuses.
    pub fn encode_unless_begun(&self, text: &str) -> Result<Vec<u32>, CorpusError> {
        let front = self.encode("")?.first().and_then(|&id| self.inner.id_to_token(id));
        let begins = front.is_some_and(|front| text.starts_with(front.as_str()));
        self.ids(text, !begins)
    }

    fn ids(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>, CorpusError> {
        let text = self.edges.apply(text, self.inner.get_added_vocabulary());
        let encoding = self.inner.encode_fast(text.as_ref(), add_special_tokens);
        let encoding = encoding.map_err(|error| bad(&self.path, error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }
}

/// Takes the bytes of a tokenizer.model apart and builds what they describe; for fuzzing.
///
/// # Errors
/// Whatever is wrong with it.
pub fn parse_sentencepiece(bytes: &[u8]) -> Result<Tokenizer, CorpusError> {
    let path = Path::new("tokenizer.model");
    folder::build_sentencepiece(path, bytes, settings::Settings::default(), class::Class::Generic)
}
