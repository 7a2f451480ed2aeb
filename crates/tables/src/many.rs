//! Writing a file of many cells, row group by row group; no cell is in two of them.

use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use runs::StoreError;

use crate::SCHEMA_VERSION;
use crate::footer::{CELLS, Entry, SCHEMA};
use crate::write::{WriteError, refused};

/// Rows after which a row group ends with its cell. Readers pay for every row group, and memory is bounded
/// by one: `bench/readers.py` has the times.
pub(crate) const GROUP_ROWS: usize = 65_536;

/// A file of many cells that is being written.
pub(crate) struct Many {
    draft: files::Draft,
    /// Taken when the file is closed.
    writer: ArrowWriter<std::fs::File>,
    schema: Arc<Schema>,
    entries: Vec<Entry>,
    group: u32,
    group_rows: usize,
}

impl Many {
    /// Begins the file that will be `path`, in a folder that exists.
    pub(crate) fn begin(path: &Path, schema: Arc<Schema>) -> Result<Many, StoreError> {
        let mut draft = files::Draft::begin(path)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .set_max_row_group_row_count(None)
            .set_key_value_metadata(Some(vec![KeyValue::new(
                SCHEMA.to_owned(),
                SCHEMA_VERSION.to_owned(),
            )]))
            .build();
        let file = draft.file().try_clone().map_err(StoreError::io("open", path))?;
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties));
        let writer = writer.map_err(told(path))?;
        Ok(Many { draft, writer, schema, entries: Vec::new(), group: 0, group_rows: 0 })
    }

    /// Whether rows of this schema can go into the file.
    pub(crate) fn takes(&self, schema: &Schema) -> bool {
        *self.schema == *schema
    }

    pub(crate) fn n_cells(&self) -> usize {
        self.entries.len()
    }

    /// Bytes written so far, without the row group in hand.
    pub(crate) fn n_bytes(&self) -> usize {
        self.writer.bytes_written()
    }

    /// Adds all rows of a cell.
    pub(crate) fn add(
        &mut self,
        id: &str,
        cell: &plan::Cell,
        batches: &[RecordBatch],
    ) -> Result<(), StoreError> {
        let path = self.draft.path().to_owned();
        let rows = batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        if self.group_rows > 0 && self.group_rows + rows > GROUP_ROWS {
            self.writer.flush().map_err(told(&path))?;
            (self.group, self.group_rows) = (self.group + 1, 0);
        }
        for batch in batches {
            self.writer.write(batch).map_err(told(&path))?;
        }
        self.entries.push(Entry {
            id: id.to_owned(),
            group: self.group,
            first: self.group_rows as u64,
            rows: rows as u64,
            cell: cell.clone(),
        });
        self.group_rows += rows;
        Ok(())
    }

    /// Gives the file its name, once it is on the disk.
    pub(crate) fn finish(self) -> Result<(), StoreError> {
        let Many { draft, mut writer, entries, .. } = self;
        let path = draft.path().to_owned();
        let encode = |error: serde_json::Error| StoreError::Unreadable {
            path: path.clone(),
            reason: error.to_string(),
        };
        let json = serde_json::to_string(&entries).map_err(encode)?;
        writer.append_key_value_metadata(KeyValue::new(CELLS.to_owned(), json));
        writer.close().map_err(told(&path))?;
        Ok(draft.finish()?)
    }
}

/// What the writer ended with, of a file that no single cell is to blame for.
fn told(path: &Path) -> impl Fn(ParquetError) -> StoreError + '_ {
    move |error| match refused(path)(error) {
        WriteError::Store(error) => error,
        WriteError::Encode(reason) => StoreError::Unreadable { path: path.to_owned(), reason },
    }
}
