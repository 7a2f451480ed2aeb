//! What lies in a run's folder: complete files, damaged ones, and what that says of each cell.

use std::collections::{BTreeMap, BTreeSet};
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

/// Where in a file of many cells the rows of one lie: never in two row groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Part {
    /// The row group, counted from 0.
    pub group: u32,
    /// Its first row, counted from 0 in the group.
    pub first: u64,
    /// How many rows it has.
    pub rows: u64,
}

/// The complete rows of a cell in the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StoredFile {
    /// The cell.
    pub id: String,
    /// The table.
    pub table: Table,
    /// Where it lies.
    pub path: PathBuf,
    /// Which rows of the file are its own; all of them where it has a file of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
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
    /// Complete cells, sorted, each table and id once.
    pub files: Vec<StoredFile>,
    /// Files that only look complete, sorted by path; and what an interrupted compaction left.
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

/// Which cells are done and which failed, without their files: what is asked for most, and cheap to pass on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Standing {
    /// Cells with results, sorted.
    pub done: Vec<String>,
    /// Cells without results whose failure is recorded, sorted.
    pub failed: Vec<String>,
    /// What does not count, as in [`Survey`].
    pub damaged: Vec<Damaged>,
    /// Files of results that hold one cell each.
    pub single_files: u64,
    /// Files of results that hold many.
    pub files_of_many: u64,
}

impl Standing {
    /// The status of every cell that was tried.
    pub fn status(&self) -> BTreeMap<String, CellStatus> {
        let done = self.done.iter().map(|id| (id.clone(), CellStatus::Done));
        done.chain(self.failed.iter().map(|id| (id.clone(), CellStatus::Failed))).collect()
    }
}

impl From<Survey> for Standing {
    fn from(survey: Survey) -> Standing {
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for (id, status) in survey.status() {
            match status {
                CellStatus::Done => done.push(id),
                CellStatus::Failed => failed.push(id),
            }
        }
        let results = || survey.files.iter().filter(|file| file.table != Table::Failures);
        let of_many: BTreeSet<_> =
            results().filter(|file| file.part.is_some()).map(|file| &file.path).collect();
        let files_of_many = of_many.len() as u64;
        let single_files = results().filter(|file| file.part.is_none()).count() as u64;
        Standing { done, failed, damaged: survey.damaged, single_files, files_of_many }
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
