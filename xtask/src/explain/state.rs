//! What became of a cell: done, failed, damaged, or not there yet.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use tables::{FailureRecord, Origin, read_failure_record, read_origin};

use crate::explain::known::{KnownCell, KnownRun};

/// The state of a cell in a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum State {
    /// Its file is complete.
    Done { file: PathBuf, bytes: u64, origin: Box<Origin> },
    /// Its failure is recorded, and there are no results.
    Failed { file: PathBuf, failure: Box<FailureRecord> },
    /// There is a file of its name that does not count.
    Damaged { file: PathBuf, reason: String },
    /// Nothing is there. `holder` is the process that is at work in the run.
    Missing { is_ordered: bool, holder: Option<String> },
}

impl State {
    /// Looks at the files of a cell.
    ///
    /// # Errors
    /// When the run's lock cannot be looked at, or a file that was there is gone.
    pub(crate) fn of(run: &KnownRun, known: &KnownCell) -> Result<State> {
        if let Some(file) = &known.results {
            let file = file.clone();
            let bytes = fs::metadata(&file)
                .with_context(|| format!("cannot read {}", file.display()))?
                .len();
            return Ok(match read_origin(&file) {
                Ok(origin) => State::Done { file, bytes, origin: Box::new(origin) },
                Err(error) => State::Damaged { file, reason: error.to_string() },
            });
        }
        if let Some(damaged) = &known.damaged {
            let (file, reason) = (damaged.path.clone(), damaged.reason.clone());
            return Ok(State::Damaged { file, reason });
        }
        if let Some(file) = &known.failure {
            let file = file.clone();
            return Ok(match read_failure_record(&file) {
                Ok(failure) => State::Failed { file, failure: Box::new(failure) },
                Err(error) => State::Damaged { file, reason: error.to_string() },
            });
        }
        let holder = run.store.holder()?;
        Ok(State::Missing { is_ordered: known.is_current(), holder })
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
