//! Texts as files: one JSON object a line, as the evaluation reads them.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use ::files::Draft;
use serde::Serialize;

use crate::StoryError;

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
    let mut draft = Draft::begin(path)?;
    let mut lines = BufWriter::new(draft.file());
    for text in texts {
        serde_json::to_writer(&mut lines, &text).map_err(|error| failed(error.into()))?;
        lines.write_all(b"\n").map_err(failed)?;
    }
    lines.flush().map_err(failed)?;
    drop(lines);
    Ok(draft.finish()?)
}
