//! A submission, as it is recorded in the run's folder: `slurm/<number>/submission.json`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::exit::Exit;

/// The folder of submissions in a run's folder.
const FOLDER: &str = "slurm";
/// The record within the folder of a submission.
const RECORD: &str = "submission.json";

/// Cells that one task of the array computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Share {
    /// The ids of the cells.
    pub(crate) cells: Vec<String>,
    /// Floating-point operations expected of each.
    pub(crate) flops_expected: Vec<f64>,
    /// Seconds expected of all of them on the machine that submitted.
    pub(crate) seconds_expected: f64,
}

/// One `cargo xtask slurm`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Submission {
    /// The name of the run.
    pub(crate) run: String,
    /// The number of the submission within the run, from 1.
    pub(crate) number: u32,
    /// The pipeline file.
    pub(crate) pipeline: String,
    /// What each task computes; task `i` of the array has the share `i - 1`.
    pub(crate) shares: Vec<Share>,
    /// The job that the tasks belong to, once it is submitted.
    pub(crate) array_job: Option<String>,
    /// The job that writes the report, once it is submitted.
    pub(crate) report_job: Option<String>,
}

impl Submission {
    /// Where it lies in the run at `run`.
    pub(super) fn folder(&self, run: &Path) -> PathBuf {
        run.join(FOLDER).join(self.number.to_string())
    }

    /// Writes the record.
    pub(super) fn write(&self, home: &Path) -> Result<()> {
        let text = serde_json::to_string(self).context("cannot encode the submission")?;
        Ok(files::write(&home.join(RECORD), text.as_bytes())?)
    }

    /// A row a share, for people.
    pub(super) fn table(&self) -> String {
        let mut table = "task  cells  expected\n".to_owned();
        let row = |number: usize, share: &Share| {
            let expected = crate::dry_run::duration(share.seconds_expected);
            format!("{number:>4}  {:>5}  {expected:>8}\n", share.cells.len())
        };
        const SHOWN: usize = 12;
        for (number, share) in (1..).zip(&self.shares).take(SHOWN) {
            table += &row(number, share);
        }
        if self.shares.len() > SHOWN {
            table += &format!("      and {} tasks more\n", self.shares.len() - SHOWN);
        }
        table
    }

    /// A value a share, for programs.
    pub(super) fn told(&self) -> Value {
        let told = |(number, share): (usize, &Share)| {
            json!({
                "task": number,
                "cells": share.cells.len(),
                "seconds_expected": share.seconds_expected,
            })
        };
        (1..).zip(&self.shares).map(told).collect()
    }
}

/// The number that the next submission of a run gets.
pub(super) fn next_number(run: &Path) -> Result<u32> {
    Ok(numbers(run)?.into_iter().max().unwrap_or(0) + 1)
}

fn numbers(run: &Path) -> Result<Vec<u32>> {
    let folder = run.join(FOLDER);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let names = || -> std::io::Result<Vec<u32>> {
        let entries = fs::read_dir(&folder)?.collect::<std::io::Result<Vec<_>>>()?;
        Ok(entries.iter().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
    };
    names().with_context(|| Exit::results(format!("cannot list {}", folder.display())))
}

/// The newest submission of a run that Slurm took; else the newest that was written down; none where there is
/// none.
///
/// # Errors
/// Exit code 4 where its record cannot be read.
pub(crate) fn latest(run: &Path) -> Result<Option<Submission>> {
    let mut numbers = numbers(run)?;
    numbers.sort_unstable();
    // A folder without a record was left by a submission that was killed before it submitted.
    let homes = numbers.iter().rev().map(|number| run.join(FOLDER).join(number.to_string()));
    let mut newest = None;
    for file in homes.map(|home| home.join(RECORD)).filter(|file| file.is_file()) {
        let record = read(&file)?;
        // One that was refused hides none that is in the queue.
        if record.array_job.is_some() {
            return Ok(Some(record));
        }
        newest = newest.or(Some(record));
    }
    Ok(newest)
}

fn read(file: &Path) -> Result<Submission> {
    let read = || -> Result<Submission> { Ok(serde_json::from_str(&fs::read_to_string(file)?)?) };
    read()
        .with_context(|| Exit::results(format!("{} is no record of a submission", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_record_counts() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(latest(run.path()).unwrap(), None);
        for number in [1, 2, 10] {
            let share = Share {
                cells: vec!["ab".into()],
                flops_expected: vec![1.0],
                seconds_expected: 2.5,
            };
            let own = Submission {
                run: "quick".into(),
                number: next_number(run.path()).unwrap().max(number),
                pipeline: "p.toml".into(),
                shares: vec![share],
                array_job: Some("7".into()),
                report_job: None,
            };
            fs::create_dir_all(own.folder(run.path())).unwrap();
            own.write(&own.folder(run.path())).unwrap();
            assert_eq!(latest(run.path()).unwrap(), Some(own));
        }
        fs::create_dir_all(run.path().join("slurm/11")).unwrap();
        assert_eq!(latest(run.path()).unwrap().unwrap().number, 10);
        assert_eq!(next_number(run.path()).unwrap(), 12);
        // Refused by sbatch: number 10 may still be in the queue.
        let refused =
            Submission { number: 11, array_job: None, ..latest(run.path()).unwrap().unwrap() };
        refused.write(&refused.folder(run.path())).unwrap();
        assert_eq!(latest(run.path()).unwrap().unwrap().number, 10);
        fs::write(run.path().join("slurm/11/submission.json"), "{}").unwrap();
        let error = latest(run.path()).unwrap_err();
        assert_eq!(crate::exit::code_of(&error), plan::exit::BAD_RESULTS);
    }
}
