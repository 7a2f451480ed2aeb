//! The rows of all cells of a file, which is opened once.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

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
    let refused = |reason: &str| StoreError::Unreadable {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let (opened, mut cells) = match open(path, files) {
        Ok(both) => both,
        Err(reason) => {
            return files.iter().for_each(|&file| take(file, Err(refused(&reason))));
        }
    };
    for of_group in files.chunk_by(|a, b| a.part.map(|part| part.group) == b.part.map(|p| p.group)) {
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
struct Opened(ArrowReaderMetadata);

impl Opened {
    fn read(&self, path: &Path, group: Option<usize>, names: &[&str]) -> Result<Frame, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.0.clone());
        let builder = match group {
            Some(group) => builder.with_row_groups(vec![group]),
            None => builder,
        };
        Ok(Frame::of(path, read_batches(builder, Some(names))?))
    }
}

fn open(
    path: &Path,
    files: &[&StoredFile],
) -> Result<(Opened, BTreeMap<String, plan::Cell>), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let footer = Footer::of(&file)?;
    let cells = match files {
        [StoredFile { id, part: None, .. }] => BTreeMap::from([(id.clone(), footer.cell()?)]),
        _ => footer.entries()?.into_iter().map(|entry| (entry.id, entry.cell)).collect(),
    };
    let metadata = ArrowReaderMetadata::try_new(
        Arc::new(footer.metadata),
        ArrowReaderOptions::new(),
    );
    Ok((Opened(metadata.map_err(|error| error.to_string())?), cells))
}
