//! Atomic writing of one table file.

use std::fs::File;
use std::path::Path;

use arrow_array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use runs::StoreError;

use crate::SCHEMA_VERSION;
use crate::footer::{CELL, SCHEMA};

/// Why a file could not be written: the bytes, or the disk.
pub(crate) enum WriteError {
    Encode(String),
    Store(StoreError),
}

/// What a file says about itself, in its metadata.
#[derive(Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) key: &'static str,
    pub(crate) json: &'a str,
}

impl<'a> About<'a> {
    /// The cell that the rows belong to.
    pub(crate) fn cell(json: &'a str) -> Self {
        Self { key: CELL, json }
    }

    /// The recipe of a training run.
    pub(crate) fn recipe(json: &'a str) -> Self {
        Self { key: "slim.recipe", json }
    }

    /// How a report worked out its own tables.
    pub(crate) fn settings(json: &'a str) -> Self {
        Self { key: "slim.settings", json }
    }
}

/// Writes `batch` so that `path` appears complete or not at all, and the folders above it.
pub(crate) fn write_atomically(
    path: &Path,
    batch: &RecordBatch,
    about: About<'_>,
) -> Result<(), WriteError> {
    files::create_folders(files::folder_of(path)).map_err(store)?;
    let mut draft = files::Draft::begin(path).map_err(store)?;
    encode(draft.file(), batch, about).map_err(refused(path))?;
    draft.finish().map_err(store)
}

/// What the writer of `path` ended with: the disk said no, or the rows cannot be encoded.
pub(crate) fn refused(path: &Path) -> impl Fn(ParquetError) -> WriteError + '_ {
    move |error| match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(source) => {
                let path = path.to_owned();
                WriteError::Store(StoreError::Io { action: "write", path, source: *source })
            }
            Err(source) => WriteError::Encode(source.to_string()),
        },
        other => WriteError::Encode(other.to_string()),
    }
}

fn store(error: files::WriteError) -> WriteError {
    WriteError::Store(error.into())
}

fn encode(file: &mut File, batch: &RecordBatch, about: About<'_>) -> Result<(), ParquetError> {
    let metadata = vec![
        KeyValue::new(SCHEMA.to_owned(), SCHEMA_VERSION.to_owned()),
        KeyValue::new(about.key.to_owned(), about.json.to_owned()),
    ];
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_key_value_metadata(Some(metadata))
        .build();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties))?;
    writer.write(batch)?;
    writer.close()?;
    Ok(())
}
