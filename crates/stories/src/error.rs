//! What can go wrong outside of the grammar: files and the tokenizer's training.

use std::path::PathBuf;

/// A file that could not be written, or a tokenizer that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    /// The file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The tokenizer library refused.
    #[error("training of the tokenizer: {reason}")]
    Tokenizer {
        /// What it said.
        reason: String,
    },
}

impl From<files::WriteError> for StoryError {
    fn from(error: files::WriteError) -> StoryError {
        StoryError::Write { path: error.path, source: error.source }
    }
}
