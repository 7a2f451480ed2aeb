//! The results folder of one run: what is done, what failed, and how new results get in.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use rayon::prelude::*;
use runs::{
    CellStatus, Claims, Damaged, FailureRecord, Pace, RunFolder, StoreError, StoredFile, Survey,
    Table, TableFile,
};

use crate::compact::files_of_many;
use crate::footer::{Footer, Place};
use crate::write::{About, WriteError, write_atomically};
use crate::{
    AttentionRow, BlockRow, CellRecord, ChannelRow, ChoiceRow, DirectionRow, ItemRow, LensRow,
    NeuronRow, OverlapRow, TaskColumns, WindowRow, attention, blocks, channels, choices,
    directions, failures, items, lens, neurons, overlaps, windows,
};

/// How often a run is listed anew because its files were folded meanwhile.
const LISTINGS: usize = 8;
/// How often a file is written anew because its folder was exchanged meanwhile.
const ATTEMPTS: usize = 8;

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

    pub(crate) fn run(&self) -> &RunFolder {
        &self.run
    }

    /// The folder of the run.
    pub fn folder(&self) -> &Path {
        self.run.path()
    }

    /// Begins to take part in the run, see [`RunFolder::join`].
    ///
    /// # Errors
    /// As [`Claims::join`].
    pub fn join(&self, pace: Pace) -> Result<Claims, StoreError> {
        self.run.join(pace)
    }

    /// Who is at work in the run, see [`RunFolder::at_work`].
    ///
    /// # Errors
    /// As [`RunFolder::at_work`].
    pub fn at_work(&self) -> Result<Option<String>, StoreError> {
        self.run.at_work()
    }

    /// Which cells are done and which failed; see [`Store::survey`] for the files themselves.
    ///
    /// # Errors
    /// [`StoreError::Io`] when a folder cannot be listed. A file that is not a complete table is no
    /// error: its cell counts as not done.
    pub fn status(&self) -> Result<BTreeMap<String, CellStatus>, StoreError> {
        Ok(self.survey()?.status())
    }

    /// Lists every file with a final name, checking that each is a complete table, and its cells.
    ///
    /// # Errors
    /// [`StoreError::Io`] when a folder cannot be listed.
    pub fn survey(&self) -> Result<Survey, StoreError> {
        // A compaction may put files in the place of those that were listed: then they are listed anew.
        let mut listed = self.run.files()?;
        for _ in 0..LISTINGS {
            let (survey, is_whole) = self.look_into(listed)?;
            if is_whole {
                return Ok(survey);
            }
            listed = self.run.files()?;
        }
        Ok(self.look_into(listed)?.0)
    }

    /// Opens every file; and whether each was still there.
    fn look_into(&self, listed: Vec<TableFile>) -> Result<(Survey, bool), StoreError> {
        let found: Vec<(TableFile, Result<Vec<StoredFile>, String>)> = listed
            .into_par_iter()
            .map(|file| {
                let cells = cells_in(&file);
                (file, cells)
            })
            .collect();
        let (mut survey, mut is_whole) = (Survey::default(), true);
        for (TableFile { table, path, .. }, cells) in found {
            match cells {
                Ok(cells) => survey.files.extend(cells),
                // Another worker forgot a failure; or results were replaced or folded.
                Err(_) if !path.exists() => is_whole &= table == Table::Failures,
                Err(reason) => survey.damaged.push(Damaged { path, reason }),
            }
        }
        for (path, partition) in self.run.interrupted()? {
            let partition = partition.strip_prefix(self.folder()).unwrap_or(&partition).display();
            let reason = format!(
                "a compaction died here, and rows of {partition} lie here until `run-grid` or `compact` \
                 opens the run"
            );
            survey.damaged.push(Damaged { path, reason });
        }
        survey.files.sort();
        // A cell that was computed again behind its folding counts once: what was folded stays.
        survey.files.dedup_by(|later, first| {
            let is_same = (&later.id, later.table) == (&first.id, first.table);
            if is_same && later.part.is_some() {
                std::mem::swap(later, first);
            }
            is_same
        });
        survey.damaged.sort_by(|a, b| a.path.cmp(&b.path));
        Ok((survey, is_whole))
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

    /// When the failure of a cell was recorded, by the clock of whoever keeps the file: to see whether it
    /// is still the same one, and for nothing else. None where the cell did not fail.
    ///
    /// # Errors
    /// [`StoreError::Name`] when the id cannot be part of a path.
    pub fn failure_mark(&self, id: &str) -> Result<Option<SystemTime>, StoreError> {
        let metadata = fs::metadata(self.run.failure_path(id)?);
        Ok(metadata.and_then(|metadata| metadata.modified()).ok())
    }

    /// Whether the results of a cell are there, complete.
    ///
    /// # Errors
    /// As [`Store::result_path`].
    pub fn has(&self, id: &str, cell: &plan::Cell) -> Result<bool, StoreError> {
        Ok(self.find(id, cell)?.is_some())
    }

    /// The complete results of a cell, in a file of its own or folded into one with others.
    ///
    /// # Errors
    /// As [`Store::result_path`].
    pub fn find(&self, id: &str, cell: &plan::Cell) -> Result<Option<StoredFile>, StoreError> {
        let path = self.result_path(id, cell)?;
        // It may be folded between the two looks: then the third finds it.
        for _ in 0..2 {
            if path.is_file() && Footer::read(&path).is_ok() {
                let (id, table) = (id.to_owned(), Table::of(cell));
                return Ok(Some(StoredFile { id, table, path, part: None }));
            }
            if let Some(folded) = self.folded(id, cell)? {
                return Ok(Some(folded));
            }
        }
        Ok(None)
    }

    /// The results of a cell where they were folded into a file with others.
    fn folded(&self, id: &str, cell: &plan::Cell) -> Result<Option<StoredFile>, StoreError> {
        let table = Table::of(cell);
        let path = self.result_path(id, cell)?;
        let many = files_of_many(files::folder_of(&path)).into_iter().map(|path| {
            let cells = cells_in(&TableFile { id: None, table, path });
            cells.unwrap_or_default().into_iter().find(|file| file.id == id)
        });
        Ok(many.flatten().next())
    }

    /// Where the results of a cell lie once it is done, until they are folded with others.
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
        let path = match self.folded(&record.id, &record.cell)? {
            // The same measurement, by a worker that was taken for dead: every row is there once.
            Some(folded) => folded.path,
            None => {
                let path = self.result_path(&record.id, &record.cell)?;
                self.write(&path, &record.id, table, &record.cell, batch)?;
                path
            }
        };
        let failure = self.run.failure_path(&record.id)?;
        match fs::remove_file(&failure) {
            Ok(()) => files::sync_folder(&self.folder().join(Table::Failures.folder()))?,
            // There was none, or another worker was faster.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io("remove", &failure)(error)),
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
        // Results of a run that was deleted are not wanted: no folder of theirs is made again.
        if !self.folder().is_dir() {
            return Err(StoreError::Gone(self.folder().to_owned()));
        }
        let encode = |reason| StoreError::Encode { table, id: id.to_owned(), reason };
        let batch = batch.map_err(|error| encode(error.to_string()))?;
        let json = serde_json::to_string(cell).map_err(|error| encode(error.to_string()))?;
        let mut attempts = 0..ATTEMPTS;
        loop {
            let error = match write_atomically(path, &batch, About::cell(&json)) {
                Ok(()) => return Ok(()),
                Err(WriteError::Encode(reason)) => return Err(encode(reason)),
                Err(WriteError::Store(error)) => error,
            };
            if !self.folder().is_dir() {
                return Err(StoreError::Gone(self.folder().to_owned()));
            }
            // A compaction exchanged the folder under our hands.
            if !is_absent(&error) || attempts.next().is_none() {
                return Err(error);
            }
        }
    }
}

/// The cells of a complete file; else why it is none.
pub(crate) fn cells_in(file: &TableFile) -> Result<Vec<StoredFile>, String> {
    let TableFile { id, table, path } = file;
    let footer = Footer::read(path)?;
    let stored = |id, part| StoredFile { id, table: *table, path: path.clone(), part };
    Ok(match id {
        Some(id) => vec![stored(id.clone(), None)],
        None => {
            let places = footer.places()?.into_iter();
            places.map(|Place { id, part }| stored(id, Some(part))).collect()
        }
    })
}

/// Whether a file or folder was not there.
fn is_absent(error: &StoreError) -> bool {
    matches!(error, StoreError::Io { source, .. } if source.kind() == ErrorKind::NotFound)
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
