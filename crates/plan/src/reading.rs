//! How a text file is read where its format leaves that open.

use serde::{Deserialize, Serialize};

use crate::TextShape;

/// How a text file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// What an entry of the file is; none where the format says it (`.raw`: rows, `.jsonl`:
    /// documents). A Parquet file does not.
    #[serde(default)]
    pub shape: Option<TextShape>,
    /// Only so many entries from the beginning; none means all.
    #[serde(default)]
    pub documents: Option<usize>,
}

impl Reading {
    /// What stands for a text in a cell's id: the file's hash, and how much of it is read.
    ///
    /// The shape does not enter: rows and documents are joined alike, and items are documents.
    pub fn identity(&self, sha256: &str) -> String {
        match self.documents {
            None => sha256.to_owned(),
            Some(documents) => format!("{sha256} documents={documents}"),
        }
    }
}
