//! Writing to a lock file: entries are added, what is there stays as it is.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Adds entries at the end of a lock file, comments and all; the file is the old one or the new one,
/// nothing between.
pub(super) fn append(workspace: &Workspace, path: &Path, entries: &str) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let old =
        if path.exists() { fs::read_to_string(path).with_context(cannot)? } else { String::new() };
    let old = old.trim_end();
    let separator = if old.is_empty() { "" } else { "\n\n" };
    // In the same folder, so that the last step is a rename on one file system.
    let mut file = tempfile::Builder::new()
        .prefix(".lock-")
        .tempfile_in(path.parent().unwrap_or(Path::new(".")))
        .with_context(cannot)?;
    writeln!(file, "{old}{separator}{}", entries.trim()).with_context(cannot)?;
    file.as_file().sync_all().with_context(cannot)?;
    // A temporary file is for its owner alone; a lock file is for everyone.
    if let Ok(metadata) = fs::metadata(path) {
        file.as_file().set_permissions(metadata.permissions()).with_context(cannot)?;
    }
    file.persist(path).with_context(cannot)?;
    eprintln!("{} has a new entry: commit it", workspace.show(path));
    Ok(())
}
