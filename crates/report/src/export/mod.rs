//! `--export lm-eval`: results and samples as lm-evaluation-harness 0.4.13 writes them, so that what reads
//! its files reads these.
//!
//! Of every model and recipe of a run one results file, in a folder of its own, and a file of samples a
//! task. Names hold when the first of their cells began, so the same tables give the same files; a file
//! that is there with other bytes is never overwritten.

mod names;
mod recipe;
mod results;
mod samples;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use self::recipe::{OfRecipe, recipes};
use crate::report::Report;

/// What is written, by path.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// What `--export` wrote.
pub(crate) struct Exported {
    /// Files in all.
    pub(crate) n_files: usize,
    /// Of these the ones that were there before, with the same bytes.
    pub(crate) n_same: usize,
}

/// Writes all runs into a folder, which need not exist.
///
/// # Errors
/// When a file is there with other bytes, before anything is written; when no run has choices or last
/// words; when the disk refuses.
pub(crate) fn lm_eval(reports: &[Report], folder: &Path) -> Result<Exported> {
    let mut files = Files::new();
    for report in reports {
        for own in recipes(report) {
            for (path, bytes) in of_recipe(&own, folder)? {
                if files.insert(path.clone(), bytes.clone()).is_some_and(|known| known != bytes) {
                    bail!("two runs would write {}: export one run at a time", path.display());
                }
            }
        }
    }
    if files.is_empty() {
        bail!("there is nothing to export: no cell has the protocol choice-TASK or lambada-openai");
    }
    let mut outstanding = Vec::new();
    for (path, bytes) in &files {
        match fs::read(path) {
            Ok(known) if known == *bytes => {}
            Ok(_) => bail!(
                "{} is there already and says something else: export into another folder",
                path.display()
            ),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                outstanding.push((path, bytes));
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        }
    }
    for (path, bytes) in &outstanding {
        files::create_folders(files::folder_of(path))
            .and_then(|()| files::write(path, bytes))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(Exported { n_files: files.len(), n_same: files.len() - outstanding.len() })
}

/// The files of one recipe.
fn of_recipe(own: &OfRecipe<'_>, folder: &Path) -> Result<Files> {
    let folder = folder.join(own.folder());
    let when = names::timestamp(own.first_started_at_ms());
    let mut files = Files::new();
    let mut results =
        serde_json::to_vec_pretty(&results::of(own)).context("cannot encode results")?;
    results.push(b'\n');
    files.insert(folder.join(format!("results_{when}.json")), results);
    for task in &own.tasks {
        let file = folder.join(format!("samples_{}_{when}.jsonl", task.name));
        files.insert(file, samples::of(task)?);
    }
    Ok(files)
}

/// A line of JSON.
fn line(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value).context("cannot encode a sample")?;
    line.push(b'\n');
    Ok(line)
}
