//! What became of a cell: done, failed, damaged, or not there yet.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use runs::{FailureRecord, FileAbout, Origin};

use crate::explain::known::{KnownCell, KnownRun};
use crate::stored;

/// The state of a cell in a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum State {
    /// Its rows are complete; `shared` where others lie in the same file.
    Done { file: PathBuf, bytes: u64, shared: bool, origin: Box<Origin> },
    /// Its failure is recorded, and there are no results.
    Failed { file: PathBuf, failure: Box<FailureRecord> },
    /// There is a file of its name that does not count.
    Damaged { file: PathBuf, reason: String },
    /// Nothing is there. `holder` is who is at work in the run.
    Missing { is_ordered: bool, holder: Option<String> },
}

impl State {
    /// Looks at the files of a cell.
    ///
    /// # Errors
    /// When the run's claims cannot be listed, a file that was there is gone, or the worker cannot be
    /// asked.
    pub(crate) fn of(worker: &Path, run: &KnownRun, known: &KnownCell) -> Result<State> {
        if let Some(stored) = &known.results {
            let file = stored.path.clone();
            let bytes = fs::metadata(&file)
                .with_context(|| format!("cannot read {}", file.display()))?
                .len();
            let shared = stored.part.is_some();
            return Ok(match stored::about(worker, stored)? {
                FileAbout::Results(origin) => {
                    State::Done { file, bytes, shared, origin: Box::new(origin) }
                }
                other => State::damaged(file, other),
            });
        }
        if let Some(damaged) = &known.damaged {
            let (file, reason) = (damaged.path.clone(), damaged.reason.clone());
            return Ok(State::Damaged { file, reason });
        }
        if let Some(stored) = &known.failure {
            let file = stored.path.clone();
            return Ok(match stored::about(worker, stored)? {
                FileAbout::Failure(failure) => State::Failed { file, failure: Box::new(failure) },
                other => State::damaged(file, other),
            });
        }
        let holder = run.folder.at_work()?;
        Ok(State::Missing { is_ordered: known.is_current(), holder })
    }

    fn damaged(file: PathBuf, answer: FileAbout) -> State {
        let reason = match answer {
            FileAbout::Unreadable(reason) => reason,
            FileAbout::Results(_) | FileAbout::Failure(_) => "it is of another table".to_owned(),
        };
        State::Damaged { file, reason }
    }

    /// One word.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            State::Done { .. } => "done",
            State::Failed { .. } => "failed",
            State::Damaged { .. } => "damaged",
            State::Missing { holder: Some(_), is_ordered: true } => "waiting",
            State::Missing { .. } => "missing",
        }
    }

    /// The version of the code and the revision that the cell was computed or tried with.
    pub(crate) fn code(&self) -> Option<(&str, &str)> {
        match self {
            State::Done { origin, .. } => {
                let from = &origin.provenance;
                Some((from.code_version.as_str(), from.revision.as_str()))
            }
            State::Failed { failure, .. } => {
                Some((failure.code_version.as_str(), failure.revision.as_str()))
            }
            State::Damaged { .. } | State::Missing { .. } => None,
        }
    }
}
