//! Texts as files: one JSON object a line, as the evaluation reads them.

use std::{
    io::{BufWriter, Write as _},
    path::Path,
};

use serde::Serialize;
use tempfile::NamedTempFile;

use crate::StoryError;

/// A temporary file; unlike most of their kind it may be read by all, as what it becomes.
fn new_file(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    builder.tempfile_in(folder)
}

/// Writes documents or items as `.jsonl`. The field `text` is what the evaluation reads; the other
/// fields of an item say where its answer was settled. The file appears complete or not at all.
///
/// # Errors
/// [`StoryError::Write`] where the folder does not exist or the disk refuses.
pub fn write_jsonl<T: Serialize>(
    path: &Path,
    texts: impl IntoIterator<Item = T>,
) -> Result<(), StoryError> {
    let failed = |source| StoryError::Write { path: path.to_owned(), source };
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = BufWriter::new(new_file(folder).map_err(failed)?);
    for text in texts {
        serde_json::to_writer(&mut file, &text).map_err(|error| failed(error.into()))?;
        file.write_all(b"\n").map_err(failed)?;
    }
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
