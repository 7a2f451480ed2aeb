//! What lies in a run's folder: complete files, damaged ones, and what that says of each cell.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Table;

/// What is known of a cell that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CellStatus {
    /// Its file is complete.
    Done,
    /// Its failure is recorded.
    Failed,
}

/// A complete file of the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StoredFile {
    /// The cell.
    pub id: String,
    /// The table.
    pub table: Table,
    /// Where it lies.
    pub path: PathBuf,
}

/// A file with a final name that is not a complete table; its cell counts as not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damaged {
    /// The file.
    pub path: PathBuf,
    /// Why it cannot be read.
    pub reason: String,
}

/// All that lies in a store.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
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

/// What the worker answers when it is asked for a survey.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SurveyAnswer {
    /// All that lies there.
    pub survey: Survey,
    /// The cells of complete files, by id, where they were asked for.
    pub cells: BTreeMap<String, plan::Cell>,
}
