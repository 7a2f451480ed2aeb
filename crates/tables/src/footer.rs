//! The footer of a file of the store: whether the file is complete, and which cells it holds.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};
use parquet::file::reader::ChunkReader;
use runs::{Part, StoredFile, Table};
use serde::{Deserialize, Serialize};

use crate::read::unreadable;
use crate::{SCHEMA_VERSION, StoreError};

/// Key of the version of the layout.
pub(crate) const SCHEMA: &str = "slim.schema";
/// Key of the cell, in a file of one.
pub(crate) const CELL: &str = "slim.cell";
/// Key of the cells, in a file of many: a JSON list of [`Entry`].
pub(crate) const CELLS: &str = "slim.cells";

/// One cell of a file of many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) group: u32,
    pub(crate) first: u64,
    pub(crate) rows: u64,
    pub(crate) cell: plan::Cell,
}

/// Where a cell lies: an [`Entry`] without the cell itself, which takes longest to read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Position")]
pub(crate) struct Place {
    pub(crate) id: String,
    pub(crate) part: Part,
}

#[derive(Deserialize)]
struct Position {
    id: String,
    group: u32,
    first: u64,
    rows: u64,
}

impl From<Position> for Place {
    fn from(Position { id, group, first, rows }: Position) -> Place {
        Place { id, part: Part { group, first, rows } }
    }
}

/// Where the rows of one cell are read from: a file that holds no other, or a part of one.
pub trait CellPlace {
    /// The file.
    fn file(&self) -> &Path;

    /// Which cell it is and where its rows lie; none where all of the file is its own.
    fn part(&self) -> Option<(&str, Part)> {
        None
    }
}

impl CellPlace for Path {
    fn file(&self) -> &Path {
        self
    }
}

impl CellPlace for PathBuf {
    fn file(&self) -> &Path {
        self
    }
}

impl CellPlace for StoredFile {
    fn file(&self) -> &Path {
        &self.path
    }

    fn part(&self) -> Option<(&str, Part)> {
        Some((&self.id, self.part?))
    }
}

/// The footer of a complete file of this layout.
pub(crate) struct Footer {
    pub(crate) metadata: ParquetMetaData,
}

impl Footer {
    /// Reads and checks it: footer readable, data where it says, of this layout.
    pub(crate) fn read(path: &Path) -> Result<Footer, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let footer = Footer::of(&file)?;
        footer.check(file.metadata().map_err(|error| error.to_string())?.len())?;
        Ok(footer)
    }

    /// Of an open file, not yet checked. Statistics of columns are passed over: nobody here asks for them.
    pub(crate) fn of(file: &impl ChunkReader) -> Result<Footer, String> {
        let options = ParquetMetaDataOptions::new()
            .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
        let metadata = ParquetMetaDataReader::new()
            .with_metadata_options(Some(options))
            .parse_and_finish(file)
            .map_err(|error| format!("no complete Parquet footer ({error})"))?;
        Ok(Footer { metadata })
    }

    fn check(&self, file_bytes: u64) -> Result<(), String> {
        let metadata = &self.metadata;
        if metadata.file_metadata().num_rows() < 1 {
            return Err("it has no rows".to_owned());
        }
        for group in metadata.row_groups() {
            for column in group.columns() {
                // `byte_range` would panic on what a flipped bit can make of these.
                let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
                let (Ok(start), Ok(length)) =
                    (u64::try_from(start), u64::try_from(column.compressed_size()))
                else {
                    return Err("its footer holds a negative offset or size".to_owned());
                };
                if start.saturating_add(length) > file_bytes {
                    return Err("its footer points beyond its end".to_owned());
                }
            }
        }
        match self.value_of(SCHEMA) {
            Some(SCHEMA_VERSION) => Ok(()),
            Some(other) => {
                Err(format!("its layout is version {other}, this program writes {SCHEMA_VERSION}"))
            }
            None => Err(format!("it was not written by this program (no {SCHEMA})")),
        }
    }

    fn value_of(&self, key: &str) -> Option<&str> {
        let pairs = self.metadata.file_metadata().key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
    }

    /// The cell of a file of one.
    pub(crate) fn cell(&self) -> Result<plan::Cell, String> {
        let json = self.value_of(CELL).ok_or_else(|| format!("it has no {CELL}"))?;
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    /// Where the cells of a file of many lie: every row of it belongs to exactly one.
    pub(crate) fn places(&self) -> Result<Vec<Place>, String> {
        let json = self.value_of(CELLS).ok_or_else(|| format!("it has no {CELLS}"))?;
        let wrong = |error: serde_json::Error| format!("its {CELLS} cannot be read: {error}");
        let places: Vec<Place> = serde_json::from_str(json).map_err(wrong)?;
        let mut groups: Vec<u64> = vec![0; self.metadata.num_row_groups()];
        for Place { id, part: Part { group, first, rows } } in &places {
            let filled = groups.get_mut(*group as usize);
            let filled = filled.filter(|filled| **filled == *first && *rows > 0);
            let filled = filled.ok_or_else(|| format!("its {CELLS} misplaces {id}"))?;
            *filled = filled.saturating_add(*rows);
        }
        let rows = self.metadata.row_groups().iter().map(|group| group.num_rows());
        if !rows.eq(groups.iter().map(|&rows| i64::try_from(rows).unwrap_or(i64::MAX))) {
            return Err(format!("its {CELLS} leaves rows out"));
        }
        Ok(places)
    }

    /// The cells of a file of many, with where they lie.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>, String> {
        let json = self.value_of(CELLS).ok_or_else(|| format!("it has no {CELLS}"))?;
        serde_json::from_str(json).map_err(|error| error.to_string())
    }
}

/// The cell that rows belong to.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn read_cell(place: &(impl CellPlace + ?Sized)) -> Result<plan::Cell, StoreError> {
    let read = || -> Result<plan::Cell, String> {
        let file = File::open(place.file()).map_err(|error| error.to_string())?;
        let footer = Footer::of(&file)?;
        let Some((id, _)) = place.part() else { return footer.cell() };
        let found = footer.entries()?.into_iter().find(|entry| entry.id == id);
        found.map(|entry| entry.cell).ok_or_else(|| format!("it holds no cell {id}"))
    };
    read().map_err(unreadable(place.file()))
}

/// The cells of a file of many by id.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn read_cells(path: &Path) -> Result<Vec<(String, plan::Cell)>, StoreError> {
    let read = || -> Result<Vec<(String, plan::Cell)>, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let entries = Footer::of(&file)?.entries()?;
        Ok(entries.into_iter().map(|entry| (entry.id, entry.cell)).collect())
    };
    read().map_err(unreadable(path))
}

/// The cells of a file of many, with where they lie.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn cells_of_many(path: &Path, table: Table) -> Result<Vec<StoredFile>, StoreError> {
    let places = Footer::read(path).and_then(|footer| footer.places());
    let stored =
        |Place { id, part }| StoredFile { id, table, path: path.to_owned(), part: Some(part) };
    places.map(|places| places.into_iter().map(stored).collect()).map_err(unreadable(path))
}
