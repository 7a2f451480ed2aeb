//! Files of the Hub's cache against the lock file.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use plan::LockedFile;

use crate::hashing::sha256_file;
use crate::workspace::Workspace;

/// What is not as the lock file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// A file is not there.
    Missing(String),
    /// A file has other bytes; the text says which.
    Wrong(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Missing(file) => write!(f, "{file} is missing"),
            Problem::Wrong(what) => f.write_str(what),
        }
    }
}

/// Compares files of a snapshot folder with their entries; an empty list is the good answer.
pub(crate) fn verify(workspace: &Workspace, folder: &Path, files: &[LockedFile]) -> Vec<Problem> {
    files
        .iter()
        .filter_map(|file| verify_file(workspace, &folder.join(&file.path), file).err())
        .collect()
}

/// Compares one file with its entry.
///
/// # Errors
/// What is not as the entry has it.
pub(crate) fn verify_file(
    workspace: &Workspace,
    path: &Path,
    locked: &LockedFile,
) -> Result<(), Problem> {
    if !path.exists() {
        return Err(Problem::Missing(workspace.show(path)));
    }
    let cannot = |error| Problem::Wrong(format!("cannot read {} ({error})", workspace.show(path)));
    // The name is a link; the file behind it is what may be wrong.
    let shown = workspace.show(&fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path)));
    let found = fs::metadata(path).map_err(cannot)?.len();
    if found != locked.bytes {
        let text = format!("{} ({shown}) has {found} bytes, not {}", locked.path, locked.bytes);
        return Err(Problem::Wrong(text));
    }
    let found = sha256_file(path).map_err(cannot)?;
    if found != locked.sha256 {
        let (path, locked) = (&locked.path, &locked.sha256);
        let text = format!("{path} ({shown}) has sha256 {found}, but the lock file says {locked}");
        return Err(Problem::Wrong(text));
    }
    Ok(())
}
