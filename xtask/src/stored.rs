//! What lies in a results folder, asked of the worker: this program reads no Parquet.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use runs::{FileAbout, Standing, StoredFile, SurveyAnswer, runs_in};
use serde::de::DeserializeOwned;

use crate::exit::Exit;

/// The runs in a folder: itself where it is one, else those that lie in it.
///
/// # Errors
/// Exit code 4 when the folder cannot be read or holds no run.
pub(crate) fn runs_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let unusable = || Exit::results(format!("cannot read the results in {}", folder.display()));
    let runs = runs_in(folder).with_context(unusable)?;
    if runs.is_empty() {
        let what =
            format!("{} holds no run: make one with `cargo xtask run-grid`", folder.display());
        return Err(Exit::results(what).into());
    }
    Ok(runs)
}

/// All cells of a run with where they lie, and what is damaged.
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

/// Which cells of a run are done and which failed.
///
/// # Errors
/// As [`survey`].
pub(crate) fn standing(worker: &Path, results: &Path) -> Result<Standing> {
    let mut command = Command::new(worker);
    command.arg("survey").arg("--standing").arg("--results").arg(results);
    ask(command)
}

/// What the rows of a cell say of themselves.
pub(crate) fn about(worker: &Path, file: &StoredFile) -> Result<FileAbout> {
    let mut command = Command::new(worker);
    command.arg("about").arg("--file").arg(&file.path).arg("--table").arg(file.table.folder());
    if file.part.is_some() {
        command.arg("--id").arg(&file.id);
    }
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
