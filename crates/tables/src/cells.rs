//! The rows of all cells of a file, which is opened once.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use runs::{StoreError, StoredFile};

use crate::Frame;
use crate::footer::Footer;
use crate::read::{read_batches, unreadable};

/// Hands on the cell and the named columns of every one of `files`, which are cells of one file in the order
/// that they lie in; of a file of many no more than one row group is in memory. What cannot be read is handed on as
/// what is wrong with it.
pub fn each_cell<'a>(
    files: &[&'a StoredFile],
    names: &[&str],
    mut take: impl FnMut(&'a StoredFile, Result<(plan::Cell, Frame), StoreError>),
) {
    let Some(path) = files.first().map(|file| file.path.as_path()) else { return };
    let refused =
        |reason: &str| StoreError::Unreadable { path: path.to_owned(), reason: reason.to_owned() };
    let (opened, mut cells) = match open(path, files) {
        Ok(both) => both,
        Err(reason) => {
            return files.iter().for_each(|&file| take(file, Err(refused(&reason))));
        }
    };
    for of_group in files.chunk_by(|a, b| a.part.map(|part| part.group) == b.part.map(|p| p.group))
    {
        let group = of_group[0].part.map(|part| part.group as usize);
        match opened.read(path, group, names) {
            Err(error) => of_group.iter().for_each(|&file| take(file, Err(refused(&error)))),
            Ok(frame) => {
                for &file in of_group {
                    let own = match file.part {
                        None => frame.clone(),
                        Some(part) => frame.slice(part.first as usize, part.rows as usize),
                    };
                    let lacks = || unreadable(path)(format!("it holds no cell {}", file.id));
                    take(file, cells.remove(&file.id).ok_or_else(lacks).map(|cell| (cell, own)));
                }
            }
        }
    }
}

/// A file, and its footer as rows are read by it.
struct Opened {
    metadata: ArrowReaderMetadata,
    /// All of a file of one cell: some fifty columns of a small file are read by one call of the system
    /// instead of several each.
    bytes: Option<Bytes>,
}

impl Opened {
    fn read(&self, path: &Path, group: Option<usize>, names: &[&str]) -> Result<Frame, String> {
        let metadata = self.metadata.clone();
        let batches = match (&self.bytes, group) {
            (Some(bytes), _) => {
                let builder =
                    ParquetRecordBatchReaderBuilder::new_with_metadata(bytes.clone(), metadata);
                read_batches(builder, Some(names))?
            }
            (None, group) => {
                let file = File::open(path).map_err(|error| error.to_string())?;
                let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
                read_batches(builder.with_row_groups(group.into_iter().collect()), Some(names))?
            }
        };
        Ok(Frame::of(path, batches))
    }
}

fn open(
    path: &Path,
    files: &[&StoredFile],
) -> Result<(Opened, BTreeMap<String, plan::Cell>), String> {
    let (footer, cells, bytes) = match files {
        [StoredFile { id, part: None, .. }] => {
            let bytes = Bytes::from(fs::read(path).map_err(|error| error.to_string())?);
            let footer = Footer::of(&bytes)?;
            let cells = BTreeMap::from([(id.clone(), footer.cell()?)]);
            (footer, cells, Some(bytes))
        }
        _ => {
            let footer = Footer::of(&File::open(path).map_err(|error| error.to_string())?)?;
            let entries = footer.entries()?.into_iter();
            let cells = entries.map(|entry| (entry.id, entry.cell)).collect();
            (footer, cells, None)
        }
    };
    let metadata =
        ArrowReaderMetadata::try_new(Arc::new(footer.metadata), ArrowReaderOptions::new());
    let metadata = metadata.map_err(|error| error.to_string())?;
    Ok((Opened { metadata, bytes }, cells))
}
