//! Files that stand beside the weights: the tokenizer, what says how to generate, the licence.

use std::{fs, io, path::Path};

use crate::{ExportError, GgufTokenizer};

/// What is taken along from the folder that a model came from.
pub const TAKEN: [&str; 14] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "LICENSE",
    "LICENSE.txt",
    "LICENSE.md",
    "NOTICE",
];

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its name in the folder.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What is written beside the weights.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// Files of a Hugging Face folder.
    pub files: Vec<Content>,
    /// Fields of `config.json` that the model does not have by itself: the ids of special tokens where
    /// they come from a GGUF file.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// The tokenizer as a GGUF file has it; a file without one has ids only.
    pub gguf_tokenizer: Option<GgufTokenizer>,
    /// What there is to say of them.
    pub notes: Vec<String>,
}

/// The files of [`TAKEN`] that a folder has.
///
/// # Errors
/// A file that is there and cannot be read.
pub fn taken_along(folder: &Path) -> Result<Vec<Content>, ExportError> {
    let mut taken = Vec::new();
    for name in TAKEN {
        let path = folder.join(name);
        match fs::read(&path) {
            Ok(bytes) => taken.push(Content { name: name.to_owned(), bytes }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(ExportError::Read { path, source }),
        }
    }
    Ok(taken)
}
