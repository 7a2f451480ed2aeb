//! What can go wrong with a results folder.

use std::io;
use std::path::{Path, PathBuf};

use crate::Table;

/// Why the store could not be used, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The path exists and is no folder.
    #[error("{} is not a folder: move it away or choose another results folder", .0.display())]
    NotAFolder(PathBuf),
    /// Nothing can be written there.
    #[error("cannot write to {}: choose another results folder", path.display())]
    NotWritable {
        /// The results folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder was there when the run began.
    #[error("{} is gone: it was deleted or moved while a run was at work in it; start the run again", .0.display())]
    Gone(PathBuf),
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, e.g. `rename`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not a readable table.
    #[error("{} is not a readable table: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Rows could not be encoded.
    #[error("cannot encode the {table} rows of cell {id}: {reason}")]
    Encode {
        /// The table.
        table: Table,
        /// The cell.
        id: String,
        /// Why.
        reason: String,
    },
    /// A number is NaN or infinite: such a cell has failed.
    #[error("cell {id}: `{column}` of row {row} is {value}, not a finite number")]
    NonFinite {
        /// The cell.
        id: String,
        /// The column.
        column: &'static str,
        /// Row, counted from 0.
        row: usize,
        /// The number.
        value: f64,
    },
    /// A cell without rows says nothing.
    #[error("cell {0} has no rows: a cell without results has failed")]
    NoRows(String),
    /// Rows of another kind than the cell gives.
    #[error("cell {id} gives rows of the table `{expected}`, not of `{table}`")]
    WrongTable {
        /// The cell.
        id: String,
        /// Its table.
        expected: Table,
        /// The table of the rows.
        table: Table,
    },
    /// A name that cannot be part of a folder or file name.
    #[error("{what}: {source}")]
    Name {
        /// What kind of name.
        what: &'static str,
        /// What is wrong with it.
        source: plan::FolderNameError,
    },
}

impl From<files::WriteError> for StoreError {
    fn from(error: files::WriteError) -> StoreError {
        let files::WriteError { action, path, source } = error;
        StoreError::Io { action, path, source }
    }
}

impl StoreError {
    /// For `map_err`: wraps what the system said with what was tried where.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_owned();
        move |source| StoreError::Io { action, path, source }
    }
}
