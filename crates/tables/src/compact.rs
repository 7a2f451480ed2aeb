//! Compaction: the files of a partition folded into large ones, each row there once at every moment.
//!
//! One file a cell is right for writing and slow to read: opening 10,000 of them takes longer than what they
//! hold. A file of many cells lies in the same partition folder, so every pattern finds it; `cell_id` tells
//! its cells apart as before, and what a file of one cell says of itself in its metadata (`slim.cell`) stands
//! in the list `slim.cells`, with the rows of each.
//!
//! Cells come to a file of many when they are done; nothing is ever added to it. A later compaction folds new
//! cells together with files that hold no more cells than they are, so that a cell is written anew a
//! logarithmic number of times at most. A cell that is computed again, by a worker that was taken for dead,
//! changes nothing: it is the same measurement, and the rows that were folded stay.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use runs::{MANY, Retired, StoreError, Swap, Table, TableFile};

use crate::footer::{Entry, Footer};
use crate::frame::slice;
use crate::many::Many;
use crate::read::{batches, read_batches, unreadable};
use crate::{Store, read_cell};

/// Cells that a file holds at most, so that its list of cells stays cheap to read.
const FILE_CELLS: usize = 4_096;
/// Bytes after which a file of many is closed.
const FILE_BYTES: usize = 256 << 20;
/// A file with more rows than that is not folded again.
const REFOLDED_ROWS: i64 = 4_000_000;

/// A partition with files to fold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scattered {
    /// The table.
    pub table: Table,
    /// The folder.
    pub folder: PathBuf,
    /// Files of one cell, by id.
    singles: BTreeMap<String, PathBuf>,
    /// Files of many cells.
    many: Vec<PathBuf>,
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Folded {
    /// Partitions whose files were folded.
    pub partitions: u64,
    /// Cells that lie in files of many now and did not before.
    pub cells: u64,
    /// Files that were folded.
    pub files_before: u64,
    /// Files that they were folded into.
    pub files_after: u64,
}

impl Folded {
    /// Adds what was done in another partition.
    pub fn add(&mut self, other: Folded) {
        self.partitions += other.partitions;
        self.cells += other.cells;
        self.files_before += other.files_before;
        self.files_after += other.files_after;
    }
}

impl Scattered {
    /// Files of one cell in it.
    pub fn n_single(&self) -> usize {
        self.singles.len()
    }
}

/// What is to be folded of a partition.
#[derive(Default)]
struct Material {
    cells: BTreeMap<String, Rows>,
    /// Names of the files whose rows are in `cells` or in a file that stays.
    folded: BTreeSet<String>,
    /// Cells that come out of files of one.
    n_new: u64,
}

/// Where the rows of a cell are.
enum Rows {
    File(PathBuf),
    Memory(plan::Cell, Vec<RecordBatch>),
}

impl Store {
    /// The partitions that hold more than one file to fold, by path. Failures stay single: they come and go.
    ///
    /// # Errors
    /// [`StoreError::Io`] when a folder cannot be listed.
    pub fn scattered(&self) -> Result<Vec<Scattered>, StoreError> {
        let mut partitions: BTreeMap<PathBuf, Scattered> = BTreeMap::new();
        for TableFile { id, table, path } in self.run().files()? {
            let folder = files::folder_of(&path).to_owned();
            // A file that lies elsewhere is nobody's result.
            let depth = folder.strip_prefix(self.folder()).map_or(0, |own| own.iter().count());
            if table == Table::Failures || depth != DEPTH {
                continue;
            }
            let own = partitions.entry(folder.clone()).or_insert_with(|| Scattered {
                table,
                folder,
                singles: BTreeMap::new(),
                many: Vec::new(),
            });
            match id {
                Some(id) => drop(own.singles.insert(id, path)),
                None => own.many.push(path),
            }
        }
        partitions.retain(|_, own| own.singles.len() > 1);
        Ok(partitions.into_values().collect())
    }

    /// Folds the files of a partition, which are then `retired`. Damaged and foreign files stay as they are.
    ///
    /// # Errors
    /// [`StoreError::Io`], after which everything is where it was or is put right by whoever opens the run
    /// next; [`StoreError::Unreadable`] where rows cannot be decoded.
    pub fn fold(&self, partition: &Scattered, retired: &mut Retired) -> Result<Folded, StoreError> {
        let Material { cells, folded, n_new } = material(partition)?;
        if n_new < 2 {
            return Ok(Folded::default());
        }
        let swap = Swap::begin(self.folder(), &partition.folder)?;
        let files_after = write(cells, &partition.folder, &swap.folder())?;
        let files_before = folded.len() as u64;
        match swap.finish(&folded, retired)? {
            true => Ok(Folded { partitions: 1, cells: n_new, files_before, files_after }),
            false => Ok(Folded::default()),
        }
    }
}

/// Folders between a run and its files: table, model, dataset, sparsity, window.
const DEPTH: usize = 5;

/// What of a partition can be folded: files of one cell that are complete, and small files of many.
fn material(partition: &Scattered) -> Result<Material, StoreError> {
    let mut material = Material::default();
    let mut stored: BTreeSet<String> = BTreeSet::new();
    for path in &partition.many {
        // A damaged one stays where it is, and its cells count as not done.
        let Ok(footer) = Footer::read(path) else { continue };
        let (Ok(places), Ok(entries)) = (footer.places(), footer.entries()) else { continue };
        stored.extend(places.iter().map(|place| place.id.clone()));
        let rows = footer.metadata.file_metadata().num_rows();
        if places.len() <= partition.singles.len() && rows <= REFOLDED_ROWS {
            material.cells.extend(cells_of(path, entries)?);
            material.folded.extend(name_of(path));
        }
    }
    for (id, path) in &partition.singles {
        if Footer::read(path).is_err() {
            continue;
        }
        material.folded.extend(name_of(path));
        if !stored.contains(id) {
            material.cells.insert(id.clone(), Rows::File(path.clone()));
            material.n_new += 1;
        }
    }
    Ok(material)
}

fn name_of(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_string_lossy().into_owned())
}

/// The cells of a file of many, in memory.
fn cells_of(path: &Path, entries: Vec<Entry>) -> Result<Vec<(String, Rows)>, StoreError> {
    let mut cells = Vec::new();
    let groups: BTreeSet<u32> = entries.iter().map(|entry| entry.group).collect();
    let mut rows = BTreeMap::new();
    for group in groups {
        rows.insert(group, group_batches(path, group, None)?);
    }
    for Entry { id, group, first, rows: own, cell } in entries {
        let own = slice(&rows[&group], first as usize, own as usize);
        cells.push((id, Rows::Memory(cell, own)));
    }
    Ok(cells)
}

/// The named columns of one row group.
pub(crate) fn group_batches(
    path: &Path,
    group: u32,
    names: Option<&[&str]>,
) -> Result<Vec<RecordBatch>, StoreError> {
    let read = || -> Result<Vec<RecordBatch>, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file);
        let builder = builder.map_err(|error| error.to_string())?;
        read_batches(builder.with_row_groups(vec![group as usize]), names)
    };
    read().map_err(unreadable(path))
}

/// Writes cells by id into files of many in `folder`, which is to take the place of `partition`; the value is
/// how many files they came to.
fn write(
    cells: BTreeMap<String, Rows>,
    partition: &Path,
    folder: &Path,
) -> Result<u64, StoreError> {
    let (mut files, mut current): (u64, Option<Many>) = (0, None);
    for (id, rows) in cells {
        let (cell, batches) = match rows {
            Rows::Memory(cell, batches) => (cell, batches),
            Rows::File(path) => (read_cell(&path)?, batches(&path)?),
        };
        let Some(schema) = batches.first().map(RecordBatch::schema) else { continue };
        let is_full = |many: &Many| {
            many.n_cells() >= FILE_CELLS || many.n_bytes() >= FILE_BYTES || !many.takes(&schema)
        };
        if let Some(full) = current.take_if(|many| is_full(many)) {
            full.finish()?;
        }
        let many = match &mut current {
            Some(many) => many,
            None => {
                files += 1;
                current.insert(Many::begin(&new_path(&id, partition, folder), schema)?)
            }
        };
        many.add(&id, &cell, &batches)?;
    }
    current.map_or(Ok(()), Many::finish)?;
    Ok(files)
}

/// A name that the partition never had: a reader that has listed an older file of it and opens it late must
/// not find another one in its place.
fn new_path(id: &str, partition: &Path, folder: &Path) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let names = (now..).map(|number| format!("{MANY}{id}-{number}.parquet"));
    let mut free =
        names.filter(|name| !partition.join(name).exists() && !folder.join(name).exists());
    folder.join(free.next().unwrap_or_default())
}

/// The files of many in a partition; an absent one has none.
pub(crate) fn files_of_many(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(MANY) && name.ends_with(".parquet")
        })
        .collect();
    found.sort();
    found
}
