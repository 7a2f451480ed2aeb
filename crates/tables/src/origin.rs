//! Where the rows of one file come from, read back without the rows.

use std::path::Path;

use arrow_array::types::{ArrowPrimitiveType, Float64Type, TimestampMillisecondType, UInt64Type};
use arrow_array::{Array, PrimitiveArray, RecordBatch, StringArray};

use runs::{FailureRecord, FileAbout, Origin, Provenance, StoreError, Table};

use crate::read::{batches, column, unreadable};
use crate::{CellPlace, read_cell};

/// The first row of a file's columns.
struct First<'a> {
    path: &'a Path,
    batch: &'a RecordBatch,
}

impl First<'_> {
    fn text(&self, name: &str) -> Result<String, StoreError> {
        let missing = || unreadable(self.path)(format!("column `{name}` has no value"));
        self.optional_text(name)?.ok_or_else(missing)
    }

    fn optional_text(&self, name: &str) -> Result<Option<String>, StoreError> {
        let array: &StringArray = column(self.path, self.batch, name)?;
        let is_there = !array.is_empty() && array.is_valid(0);
        Ok(is_there.then(|| array.value(0).to_owned()))
    }

    fn number<T: ArrowPrimitiveType>(&self, name: &str) -> Result<T::Native, StoreError> {
        let array: &PrimitiveArray<T> = column(self.path, self.batch, name)?;
        if array.is_empty() || array.is_null(0) {
            return Err(unreadable(self.path)(format!("column `{name}` has no value")));
        }
        Ok(array.value(0))
    }
}

/// Where the rows of a cell of results come from.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn read_origin(place: &(impl CellPlace + ?Sized)) -> Result<Origin, StoreError> {
    let path = place.file();
    let batches = batches(place)?;
    let batch = batches.first().ok_or_else(|| unreadable(path)("it has no rows".to_owned()))?;
    let first = First { path, batch };
    Ok(Origin {
        cell_id: first.text("cell_id")?,
        rows: batches.iter().map(|batch| batch.num_rows() as u64).sum(),
        provenance: Provenance {
            revision: first.text("revision")?,
            code_version: first.text("code_version")?,
            versions: first.text("versions")?,
            host: first.text("host")?,
            cpu: first.text("cpu")?,
            device: first.text("device")?,
            started_at_ms: first.number::<TimestampMillisecondType>("started_at")?,
            seconds: first.number::<Float64Type>("seconds")?,
            peak_rss_bytes: first.number::<UInt64Type>("peak_rss_bytes")?,
            tokens: first.number::<UInt64Type>("tokens")?,
            weights_sha256: first.text("weights_sha256")?,
            tokenizer_sha256: first.text("tokenizer_sha256")?,
            text_sha256: first.text("text_sha256")?,
            calibration_sha256: first.optional_text("calibration_sha256")?,
        },
    })
}

/// The whole record of a `failures` file.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn read_failure_record(path: &Path) -> Result<FailureRecord, StoreError> {
    let batches = batches(path)?;
    let batch = batches.first().ok_or_else(|| unreadable(path)("it has no rows".to_owned()))?;
    let first = First { path, batch };
    Ok(FailureRecord {
        id: first.text("cell_id")?,
        cell: read_cell(path)?,
        error: first.text("error")?,
        revision: first.text("revision")?,
        code_version: first.text("code_version")?,
        host: first.text("host")?,
        started_at_ms: first.number::<TimestampMillisecondType>("started_at")?,
        seconds: first.number::<Float64Type>("seconds")?,
    })
}

/// What the rows of a cell say of themselves, whatever their table.
pub fn about_file(place: &(impl CellPlace + ?Sized), table: Table) -> FileAbout {
    let read = match table {
        Table::Failures => read_failure_record(place.file()).map(FileAbout::Failure),
        _ => read_origin(place).map(FileAbout::Results),
    };
    read.unwrap_or_else(|error| FileAbout::Unreadable(error.to_string()))
}
