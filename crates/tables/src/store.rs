//! The results folder of one run: what is done, what failed, and how new results get in.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use runs::{
    CellStatus, Damaged, FailureRecord, Lock, RunFolder, StoreError, StoredFile, Survey, Table,
    TableFile,
};

use crate::write::{About, WriteError, write_atomically};
use crate::{
    AttentionRow, BlockRow, CellRecord, ChannelRow, ChoiceRow, DirectionRow, ItemRow, LensRow,
    NeuronRow, OverlapRow, TaskColumns, WindowRow, attention, blocks, channels, choices,
    directions, failures, items, lens, neurons, overlaps, read, windows,
};

/// The results folder of one run.
#[derive(Debug, Clone)]
pub struct Store {
    run: RunFolder,
}

impl Store {
    /// Opens a run's folder for writing, see [`RunFolder::open`].
    ///
    /// # Errors
    /// [`StoreError::NotAFolder`] or [`StoreError::NotWritable`].
    pub fn open(folder: &Path) -> Result<Store, StoreError> {
        Ok(Store { run: RunFolder::open(folder)? })
    }

    /// Opens a run's folder for reading only; it may be absent, which is an empty run.
    ///
    /// # Errors
    /// [`StoreError::NotAFolder`].
    pub fn open_read_only(folder: &Path) -> Result<Store, StoreError> {
        Ok(Store { run: RunFolder::open_read_only(folder)? })
    }

    /// The folder of the run.
    pub fn folder(&self) -> &Path {
        self.run.path()
    }

    /// Takes the run's lock, see [`RunFolder::lock`].
    ///
    /// # Errors
    /// [`StoreError::Locked`] names the process that holds it.
    pub fn lock(&self) -> Result<Lock, StoreError> {
        self.run.lock()
    }

    /// The process that is at work in the run, as it described itself; none where nobody is.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the lock cannot be looked at.
    pub fn holder(&self) -> Result<Option<String>, StoreError> {
        self.run.holder()
    }

    /// Which cells are done and which failed; see [`Store::survey`] for the files themselves.
    ///
    /// # Errors
    /// [`StoreError::Io`] when a folder cannot be listed. A file that is not a complete table is no
    /// error: its cell counts as not done.
    pub fn status(&self) -> Result<BTreeMap<String, CellStatus>, StoreError> {
        Ok(self.survey()?.status())
    }

    /// Lists every file with a final name, checking that each is a complete table.
    ///
    /// # Errors
    /// [`StoreError::Io`] when a folder cannot be listed.
    pub fn survey(&self) -> Result<Survey, StoreError> {
        let mut survey = Survey::default();
        for TableFile { id, table, path } in self.run.files()? {
            match read::check(&path) {
                Ok(()) => survey.files.push(StoredFile { id, table, path }),
                Err(reason) => survey.damaged.push(Damaged { path, reason }),
            }
        }
        survey.files.sort();
        survey.damaged.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(survey)
    }

    /// Stores the rows of a perplexity cell, replacing what was there, and forgets its failure.
    ///
    /// # Errors
    /// [`StoreError::NonFinite`], [`StoreError::NoRows`] and [`StoreError::WrongTable`] refuse rows
    /// that are no result: record a failure instead. The rest is the disk's.
    pub fn write_windows(
        &self,
        record: &CellRecord,
        rows: &[WindowRow],
    ) -> Result<PathBuf, StoreError> {
        self.check_table(record, Table::Windows)?;
        check_rows(record, rows, windows::floats)?;
        self.write_results(record, Table::Windows, windows::encode(record, rows))
    }

    /// Stores the rows of a LAMBADA cell, replacing what was there, and forgets its failure.
    ///
    /// # Errors
    /// As [`Store::write_windows`].
    pub fn write_items(
        &self,
        record: &CellRecord,
        rows: &[ItemRow],
    ) -> Result<PathBuf, StoreError> {
        self.check_table(record, Table::Items)?;
        check_rows(record, rows, items::floats)?;
        self.write_results(record, Table::Items, items::encode(record, rows))
    }

    /// Stores the rows of a task of choices, replacing what was there, and forgets the cell's failure.
    ///
    /// # Errors
    /// As [`Store::write_windows`].
    pub fn write_choices(
        &self,
        record: &CellRecord,
        task: &TaskColumns,
        rows: &[ChoiceRow],
    ) -> Result<PathBuf, StoreError> {
        self.check_table(record, Table::Choices)?;
        check_rows(record, rows, choices::floats)?;
        self.write_results(record, Table::Choices, choices::encode(record, task, rows))
    }

    /// Stores the scores of neurons, replacing what was there, and forgets the cell's failure.
    ///
    /// # Errors
    /// As [`Store::write_windows`].
    pub fn write_neurons(
        &self,
        record: &CellRecord,
        rows: &[NeuronRow],
    ) -> Result<PathBuf, StoreError> {
        self.check_table(record, Table::Neurons)?;
        check_rows(record, rows, neurons::floats)?;
        self.write_results(record, Table::Neurons, neurons::encode(record, rows))
    }

    /// Stores the scores of state channels, replacing what was there, and forgets the cell's failure.
    ///
    /// # Errors
    /// As [`Store::write_windows`].
    pub fn write_channels(
        &self,
        record: &CellRecord,
        rows: &[ChannelRow],
    ) -> Result<PathBuf, StoreError> {
        self.check_table(record, Table::Channels)?;
        check_rows(record, rows, channels::floats)?;
        self.write_results(record, Table::Channels, channels::encode(record, rows))
    }

    /// Stores the overlaps of kept sets, replacing what was there, and forgets the cell's failure.
    ///
    /// # Errors
    /// As [`Store::write_windows`].
    pub fn write_overlaps(
        &self,
        record: &CellRecord,
        rows: &[OverlapRow],
    ) -> Result<PathBuf, StoreError> {
        self.check_table(record, Table::Overlaps)?;
        check_rows(record, rows, overlaps::floats)?;
        self.write_results(record, Table::Overlaps, overlaps::encode(record, rows))
    }

    /// Stores how linear layers are, replacing what was there, and forgets the cell's failure.
    ///
    /// # Errors
    /// As [`Store::write_windows`].
    pub fn write_blocks(
        &self,
        record: &CellRecord,
        rows: &[BlockRow],
    ) -> Result<PathBuf, StoreError> {
        self.check_table(record, Table::Blocks)?;
        check_rows(record, rows, blocks::floats)?;
        self.write_results(record, Table::Blocks, blocks::encode(record, rows))
    }

    /// Stores what attention looks at, replacing what was there, and forgets the cell's failure.
    ///
    /// # Errors
    /// As [`Store::write_windows`].
    pub fn write_attention(
        &self,
        record: &CellRecord,
        rows: &[AttentionRow],
    ) -> Result<PathBuf, StoreError> {
        self.check_table(record, Table::Attention)?;
        check_rows(record, rows, attention::floats)?;
        self.write_results(record, Table::Attention, attention::encode(record, rows))
    }

    /// Stores directions of the residual stream, replacing what was there, and forgets the cell's failure.
    ///
    /// # Errors
    /// As [`Store::write_windows`].
    pub fn write_directions(
        &self,
        record: &CellRecord,
        rows: &[DirectionRow],
    ) -> Result<PathBuf, StoreError> {
        self.check_table(record, Table::Directions)?;
        check_rows(record, rows, directions::floats)?;
        self.write_results(record, Table::Directions, directions::encode(record, rows))
    }

    /// Stores what each layer would predict, replacing what was there, and forgets the cell's failure.
    ///
    /// # Errors
    /// As [`Store::write_windows`].
    pub fn write_lens(&self, record: &CellRecord, rows: &[LensRow]) -> Result<PathBuf, StoreError> {
        self.check_table(record, Table::Lens)?;
        check_rows(record, rows, lens::floats)?;
        self.write_results(record, Table::Lens, lens::encode(record, rows))
    }

    /// Stores the failure of a cell, replacing an older one.
    ///
    /// # Errors
    /// As [`Store::write_windows`].
    pub fn write_failure(&self, record: &FailureRecord) -> Result<PathBuf, StoreError> {
        let path = self.run.failure_path(&record.id)?;
        self.write(&path, &record.id, Table::Failures, &record.cell, failures::encode(record))?;
        Ok(path)
    }

    /// Whether the results of a cell are there, complete.
    ///
    /// # Errors
    /// As [`Store::result_path`].
    pub fn has(&self, id: &str, cell: &plan::Cell) -> Result<bool, StoreError> {
        let path = self.result_path(id, cell)?;
        Ok(path.is_file() && read::check(&path).is_ok())
    }

    /// Where the results of a cell lie once it is done.
    ///
    /// # Errors
    /// [`StoreError::Name`] when the model's or dataset's name cannot be part of a path.
    pub fn result_path(&self, id: &str, cell: &plan::Cell) -> Result<PathBuf, StoreError> {
        self.run.result_path(id, cell)
    }

    fn check_table(&self, record: &CellRecord, table: Table) -> Result<(), StoreError> {
        let expected = Table::of(&record.cell);
        if expected == table {
            return Ok(());
        }
        Err(StoreError::WrongTable { id: record.id.clone(), expected, table })
    }

    fn write_results(
        &self,
        record: &CellRecord,
        table: Table,
        batch: Result<RecordBatch, ArrowError>,
    ) -> Result<PathBuf, StoreError> {
        let path = self.result_path(&record.id, &record.cell)?;
        self.write(&path, &record.id, table, &record.cell, batch)?;
        let failure = self.run.failure_path(&record.id)?;
        if failure.exists() {
            fs::remove_file(&failure).map_err(StoreError::io("remove", &failure))?;
            files::sync_folder(&self.folder().join(Table::Failures.folder()))?;
        }
        Ok(path)
    }

    fn write(
        &self,
        path: &Path,
        id: &str,
        table: Table,
        cell: &plan::Cell,
        batch: Result<RecordBatch, ArrowError>,
    ) -> Result<(), StoreError> {
        let encode = |reason| StoreError::Encode { table, id: id.to_owned(), reason };
        let batch = batch.map_err(|error| encode(error.to_string()))?;
        let json = serde_json::to_string(cell).map_err(|error| encode(error.to_string()))?;
        write_atomically(path, &batch, About::cell(&json)).map_err(|error| match error {
            WriteError::Encode(reason) => encode(reason),
            WriteError::Store(error) => error,
        })
    }
}

fn check_rows<T, const N: usize>(
    record: &CellRecord,
    rows: &[T],
    floats: impl Fn(&T) -> [(&'static str, f64); N],
) -> Result<(), StoreError> {
    let id = || record.id.clone();
    if rows.is_empty() {
        return Err(StoreError::NoRows(id()));
    }
    for (row, values) in rows.iter().map(floats).enumerate() {
        if let Some((column, value)) = values.into_iter().find(|(_, value)| !value.is_finite()) {
            return Err(StoreError::NonFinite { id: id(), column, row, value });
        }
    }
    let value = record.provenance.seconds;
    if !value.is_finite() {
        return Err(StoreError::NonFinite { id: id(), column: "seconds", row: 0, value });
    }
    Ok(())
}
