//! The results folder of one run: what is done, what failed, and how new results get in.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use plan::shortest_decimal;

use crate::write::{About, TEMPORARY, WriteError, create_folders, sync_folder, write_atomically};
use crate::{
    CellRecord, ChannelRow, FailureRecord, ItemRow, Lock, NO_WINDOW, NeuronRow, OverlapRow,
    StoreError, Table, WindowRow, channels, failures, items, lock, neurons, overlaps, read,
    windows,
};

/// What is known of a cell that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CellStatus {
    /// Its file is complete.
    Done,
    /// Its failure is recorded.
    Failed,
}

/// A complete file of the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredFile {
    /// The cell.
    pub id: String,
    /// The table.
    pub table: Table,
    /// Where it lies.
    pub path: PathBuf,
}

/// A file with a final name that is not a complete table; its cell counts as not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// The file.
    pub path: PathBuf,
    /// Why it cannot be read.
    pub reason: String,
}

/// All that lies in a store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// Complete files, sorted.
    pub files: Vec<StoredFile>,
    /// Files that only look complete, sorted by path.
    pub damaged: Vec<Damaged>,
}

impl Survey {
    /// The status of every cell that was tried. A cell with results is done even where an old
    /// failure is still recorded.
    pub fn status(&self) -> BTreeMap<String, CellStatus> {
        let mut status = BTreeMap::new();
        for file in &self.files {
            let new = match file.table {
                Table::Failures => CellStatus::Failed,
                _ => CellStatus::Done,
            };
            let known = status.entry(file.id.clone()).or_insert(new);
            *known = new.min(*known);
        }
        status
    }
}

/// The results folder of one run.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Opens a run's folder for writing: makes it, proves that it can be written to, and sweeps up
    /// what a killed process left unfinished (unless another process is at work there).
    ///
    /// # Errors
    /// [`StoreError::NotAFolder`] or [`StoreError::NotWritable`].
    pub fn open(folder: &Path) -> Result<Store, StoreError> {
        check_is_folder(folder)?;
        let not_writable = |source| StoreError::NotWritable { path: folder.to_owned(), source };
        create_folders(folder).map_err(|error| match error {
            StoreError::Io { source, .. } => not_writable(source),
            other => other,
        })?;
        // Permissions say little (root, read-only mounts, full disks): really write something.
        let probe = folder.join(format!(".probe.{}{TEMPORARY}", std::process::id()));
        let written = fs::write(&probe, b"slim");
        let removed = fs::remove_file(&probe);
        written.and(removed).map_err(not_writable)?;
        let store = Store { folder: folder.to_owned() };
        match store.lock() {
            Ok(_) | Err(StoreError::Locked { .. }) => Ok(store),
            Err(error) => Err(error),
        }
    }

    /// Opens a run's folder for reading only; it may be absent, which is an empty run.
    ///
    /// # Errors
    /// [`StoreError::NotAFolder`].
    pub fn open_read_only(folder: &Path) -> Result<Store, StoreError> {
        check_is_folder(folder)?;
        Ok(Store { folder: folder.to_owned() })
    }

    /// The folder of the run.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes the run's lock, and sweeps up unfinished files. Released when dropped, and by the
    /// system however the process ends.
    ///
    /// # Errors
    /// [`StoreError::Locked`] names the process that holds it.
    pub fn lock(&self) -> Result<Lock, StoreError> {
        let lock = lock::acquire(&self.folder)?;
        remove_temporaries(&self.folder, 0)?;
        for table in Table::ALL {
            remove_temporaries(&self.folder.join(table.folder()), PARTITION_DEPTH)?;
        }
        Ok(lock)
    }

    /// The process that is at work in the run, as it described itself; none where nobody is.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the lock cannot be looked at.
    pub fn holder(&self) -> Result<Option<String>, StoreError> {
        lock::holder(&self.folder)
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
        for &table in Table::ALL {
            let mut paths = Vec::new();
            list_files(&self.folder.join(table.folder()), PARTITION_DEPTH, &mut paths)?;
            for path in paths {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let Some(id) = name.strip_suffix(".parquet").filter(|id| !id.starts_with('.'))
                else {
                    continue;
                };
                match read::check(&path) {
                    Ok(()) => {
                        survey.files.push(StoredFile {
                            id: id.to_owned(),
                            table,
                            path: path.clone(),
                        });
                    }
                    Err(reason) => survey.damaged.push(Damaged { path: path.clone(), reason }),
                }
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

    /// Stores the failure of a cell, replacing an older one.
    ///
    /// # Errors
    /// As [`Store::write_windows`].
    pub fn write_failure(&self, record: &FailureRecord) -> Result<PathBuf, StoreError> {
        let path = self.failure_path(&record.id)?;
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
        let table = Table::of(cell);
        let window = match cell.treatment.window {
            Some(tokens) => tokens.to_string(),
            None => NO_WINDOW.to_owned(),
        };
        Ok(self
            .folder
            .join(table.folder())
            .join(format!("model={}", check_name("model", &cell.model)?))
            .join(format!("dataset={}", check_name("dataset", &cell.dataset)?))
            .join(format!("sparsity={}", shortest_decimal(cell.treatment.sparsity)))
            .join(format!("window={window}"))
            .join(format!("{}.parquet", check_name("cell id", id)?)))
    }

    fn failure_path(&self, id: &str) -> Result<PathBuf, StoreError> {
        let name = format!("{}.parquet", check_name("cell id", id)?);
        Ok(self.folder.join(Table::Failures.folder()).join(name))
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
        let failure = self.failure_path(&record.id)?;
        if failure.exists() {
            fs::remove_file(&failure).map_err(StoreError::io("remove", &failure))?;
            sync_folder(&self.folder.join(Table::Failures.folder()))?;
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

/// The folder, or the nearest thing above it that is there, must be a folder.
fn check_is_folder(folder: &Path) -> Result<(), StoreError> {
    let mut above = folder.ancestors().filter(|path| !path.as_os_str().is_empty());
    match above.find(|path| path.symlink_metadata().is_ok()) {
        Some(present) if !present.is_dir() => Err(StoreError::NotAFolder(present.to_owned())),
        _ => Ok(()),
    }
}

/// Folders between a table and its files: model, dataset, sparsity, window.
const PARTITION_DEPTH: usize = 4;

fn check_name<'a>(what: &'static str, name: &'a str) -> Result<&'a str, StoreError> {
    plan::check_folder_name(name).map_err(|source| StoreError::Name { what, source })?;
    Ok(name)
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

/// The files below `folder`, at most `depth` folders down, sorted; an absent folder has none.
fn list_files(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), StoreError> {
    if !folder.is_dir() {
        return Ok(());
    }
    let list = || -> std::io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    };
    let mut paths = list().map_err(StoreError::io("list", folder))?;
    paths.sort();
    for path in paths {
        if !path.is_dir() {
            files.push(path);
        } else if depth > 0 {
            list_files(&path, depth - 1, files)?;
        }
    }
    Ok(())
}

/// Removes what a process that was killed left half written in `folder` and `depth` levels below it.
///
/// # Errors
/// When the folder cannot be listed or a file not removed.
pub fn remove_temporaries(folder: &Path, depth: usize) -> Result<(), StoreError> {
    let mut files = Vec::new();
    list_files(folder, depth, &mut files)?;
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') && name.ends_with(TEMPORARY) {
            fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
        }
    }
    Ok(())
}
