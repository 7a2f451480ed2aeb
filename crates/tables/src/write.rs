//! Atomic writing of one table file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::{SCHEMA_VERSION, StoreError};

/// Ending of files that are not finished.
pub(crate) const TEMPORARY: &str = ".tmp";

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
        Self { key: "slim.cell", json }
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

/// Removes a temporary file unless it was renamed.
struct Temporary {
    path: PathBuf,
    keep: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.keep {
            // Already on the way out with an error; the next run sweeps up what is left.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes `batch` so that `path` appears complete or not at all.
///
/// Temporary name in the same folder, write, sync the file, rename, sync the folder.
pub(crate) fn write_atomically(
    path: &Path,
    batch: &RecordBatch,
    about: About<'_>,
) -> Result<(), WriteError> {
    let store = |error| WriteError::Store(error);
    let folder = path.parent().unwrap_or(Path::new("."));
    create_folders(folder).map_err(store)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let temporary_name = format!(".{stem}.{}{TEMPORARY}", std::process::id());
    let mut temporary = Temporary { path: folder.join(temporary_name), keep: false };
    let file = File::create(&temporary.path)
        .map_err(StoreError::io("create", &temporary.path))
        .map_err(store)?;
    let to_sync =
        file.try_clone().map_err(StoreError::io("open", &temporary.path)).map_err(store)?;
    encode(file, batch, about).map_err(|error| match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(source) => {
                let path = temporary.path.clone();
                WriteError::Store(StoreError::Io { action: "write", path, source: *source })
            }
            Err(source) => WriteError::Encode(source.to_string()),
        },
        other => WriteError::Encode(other.to_string()),
    })?;
    to_sync.sync_all().map_err(StoreError::io("sync", &temporary.path)).map_err(store)?;
    fs::rename(&temporary.path, path).map_err(StoreError::io("rename", path)).map_err(store)?;
    temporary.keep = true;
    sync_folder(folder).map_err(store)
}

fn encode(file: File, batch: &RecordBatch, about: About<'_>) -> Result<(), ParquetError> {
    let metadata = vec![
        KeyValue::new("slim.schema".to_owned(), SCHEMA_VERSION.to_owned()),
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

/// Makes a folder and those above it, each made durable in its parent.
pub(crate) fn create_folders(folder: &Path) -> Result<(), StoreError> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_folders(parent)?;
    }
    match fs::create_dir(folder) {
        Ok(()) => sync_folder(parent.unwrap_or(Path::new("."))),
        Err(_) if folder.is_dir() => Ok(()),
        Err(source) => {
            Err(StoreError::Io { action: "create folder", path: folder.to_owned(), source })
        }
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    let synced = File::open(folder).and_then(|handle| handle.sync_all());
    synced.map_err(StoreError::io("sync folder", folder))
}
