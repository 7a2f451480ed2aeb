//! What lies in a results folder, asked of the worker: this program reads no Parquet.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use runs::{FileAbout, SurveyAnswer, Table};
use serde::de::DeserializeOwned;

use crate::exit::Exit;

/// All files of a run, complete or damaged.
///
/// # Errors
/// Exit code 4 when the folder cannot be listed.
pub(crate) fn survey(worker: &Path, results: &Path, with_cells: bool) -> Result<SurveyAnswer> {
    let mut command = Command::new(worker);
    command.arg("survey").arg("--results").arg(results);
    if with_cells {
        command.arg("--cells");
    }
    ask(command)
}

/// What one file says of itself.
pub(crate) fn about(worker: &Path, file: &Path, table: Table) -> Result<FileAbout> {
    let mut command = Command::new(worker);
    command.arg("about").arg("--file").arg(file).arg("--table").arg(table.folder());
    ask(command)
}

fn ask<T: DeserializeOwned>(mut command: Command) -> Result<T> {
    let cannot_start = format!("cannot start {}", command.get_program().to_string_lossy());
    let output = command.stderr(Stdio::inherit()).output().context(cannot_start)?;
    if output.status.code() == Some(plan::exit::BAD_RESULTS) {
        return Err(Exit::results("the results folder cannot be used").into());
    }
    if !output.status.success() {
        bail!("the worker could not look at the results ({})", output.status);
    }
    serde_json::from_slice(&output.stdout).context("the worker's answer is not what was asked for")
}
