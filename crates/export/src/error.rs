//! Why a model was not written.

use std::path::PathBuf;

use files::WriteError;
use models::{LoadError, SaveError};

/// A model that cannot be written as asked.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The model itself.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// The config of the model that it was made of.
    #[error(transparent)]
    Config(#[from] LoadError),
    /// The disk.
    #[error("{error}: {}", error.source)]
    Write {
        /// What was tried on which file.
        error: WriteError,
    },
    /// A file that is to be taken along.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What the format has no word for.
    #[error("{form} cannot say this model: {reason}")]
    Form {
        /// The format, as it was asked for.
        form: String,
        /// What stands in the way, and what to do.
        reason: String,
    },
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped,
}

impl From<WriteError> for ExportError {
    fn from(error: WriteError) -> Self {
        Self::Write { error }
    }
}
