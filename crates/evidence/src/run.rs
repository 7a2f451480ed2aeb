//! A run's folder: what was ordered, what is done, what failed and what cannot be read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use plan::{WorkOrder, cell_id};
use rayon::prelude::*;
use serde::Serialize;
use tables::{
    ORDER, Provenance, SPEED, Store, StoredFile, Survey, Table, each_cell, runs_in, space_of,
};

use crate::observed::{Observed, is_observed, read_observed};
use crate::speed::{TimedRow, read_speed};
use crate::table_file::{CellResult, Failure, columns_of, guarded, read_failure, result_of};

/// A file that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// Path within the run's folder.
    pub file: String,
    /// Why it cannot be used.
    pub reason: String,
}

/// Everything that lies in a run's folder.
pub struct Run {
    /// The run's name: of its work order, else of its folder.
    pub name: String,
    /// Where it lies.
    pub folder: PathBuf,
    /// The last work order; none where there is no readable one.
    pub order: Option<WorkOrder>,
    /// Whether it is a search of `cargo xtask advise`, which decides on the way what is run.
    pub is_search: bool,
    /// Finished cells that measured losses, by id.
    pub results: Vec<CellResult>,
    /// Finished cells that measured scores and overlaps, by id.
    pub observed: Vec<Observed>,
    /// Ids of the scores that the order's static cells rest on and store on their way, less those
    /// that the order asks for.
    pub by_products: BTreeSet<String>,
    /// Failed cells without results, by label.
    pub failures: Vec<Failure>,
    /// Models that were timed side by side.
    pub speed: Vec<TimedRow>,
    /// Files that cannot be used, by path.
    pub unreadable: Vec<Unreadable>,
}

/// The runs in `folder`: itself, or the folders in it, sorted by name.
///
/// # Errors
/// When the folder cannot be read or holds no run.
pub fn find_runs(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot read the results folder {}", folder.display());
    let runs = runs_in(folder).with_context(unreadable)?;
    if runs.is_empty() {
        bail!(
            "{} holds no run: expected a folder with windows/, items/, neurons/, channels/, \
             overlaps/ or failures/, or one that holds such folders; make a run with \
             `cargo xtask run-grid`",
            folder.display()
        );
    }
    Ok(runs)
}

impl Run {
    /// Reads a run's folder, file by file.
    ///
    /// # Errors
    /// Only when the folder cannot be listed; a file that cannot be read is part of the result.
    pub fn load(folder: &Path) -> Result<Run> {
        let store = Store::open_read_only(folder)?;
        let (survey, answers) = read_whole(&store)?;
        let within = |path: &Path| path.strip_prefix(folder).unwrap_or(path).display().to_string();

        let mut unreadable: Vec<Unreadable> = Vec::new();
        let mut refuse = |path: &Path, reason: String| {
            unreadable.push(Unreadable { file: within(path), reason });
        };
        for damaged in &survey.damaged {
            refuse(&damaged.path, damaged.reason.clone());
        }
        let mut results: Vec<CellResult> = Vec::new();
        let mut observed: Vec<Observed> = Vec::new();
        let mut failures: Vec<Failure> = Vec::new();
        for (file, read) in answers {
            match read {
                Ok(TableFile::Result(result)) => results.push(*result),
                Ok(TableFile::Observed(cell)) => observed.push(*cell),
                Ok(TableFile::Failure(failure)) => failures.push(*failure),
                Err(error) => refuse(&file.path, format!("{error:#}")),
            }
        }
        let order = read_order(&folder.join(ORDER)).unwrap_or_else(|error| {
            refuse(&folder.join(ORDER), format!("{error:#}"));
            None
        });

        let timed = folder.join(SPEED);
        let speed = match timed.is_file() {
            true => read_speed(&timed).unwrap_or_else(|error| {
                refuse(&timed, format!("{error:#}"));
                Vec::new()
            }),
            false => Vec::new(),
        };

        results.sort_by(|a, b| a.id.cmp(&b.id));
        observed.sort_by(|a, b| a.id.cmp(&b.id));
        // A cell that succeeded later is done, even where its old failure is still recorded.
        let done: BTreeSet<&str> = results
            .iter()
            .map(|result| result.id.as_str())
            .chain(observed.iter().map(|observed| observed.id.as_str()))
            .collect();
        failures.retain(|failure| !done.contains(failure.cell_id.as_str()));
        failures.sort_by(|a, b| (&a.label, &a.cell_id).cmp(&(&b.label, &b.cell_id)));
        unreadable.sort_by(|a, b| a.file.cmp(&b.file));
        let name = match &order {
            Some(order) => order.run.clone(),
            None => folder_name(folder),
        };
        let by_products = order.as_ref().map(by_products).unwrap_or_default();
        Ok(Run {
            name,
            folder: folder.to_owned(),
            order,
            is_search: space_of(folder).is_some(),
            results,
            observed,
            by_products,
            failures,
            speed,
            unreadable,
        })
    }

    /// The ids of all finished cells.
    pub fn done(&self) -> impl Iterator<Item = &str> {
        let observed = self.observed.iter().map(|observed| observed.id.as_str());
        self.results.iter().map(|result| result.id.as_str()).chain(observed)
    }

    /// Where the numbers of all finished cells come from.
    pub fn provenances(&self) -> impl Iterator<Item = &Provenance> {
        let observed = self.observed.iter().map(|observed| &observed.provenance);
        self.results.iter().map(|result| &result.provenance).chain(observed)
    }
}

/// What one file of a table held.
enum TableFile {
    Result(Box<CellResult>),
    Observed(Box<Observed>),
    Failure(Box<Failure>),
}

/// What came of reading one cell.
type Answer = (StoredFile, Result<TableFile>);

/// Lists and reads all of a run; again where a compaction took files away in between.
fn read_whole(store: &Store) -> Result<(Survey, Vec<Answer>)> {
    const ATTEMPTS: usize = 4;
    let mut attempt = 1;
    loop {
        let survey = store.survey()?;
        let answers = read_all(store, &survey.files);
        let is_gone = |(file, answer): &Answer| {
            answer.is_err() && file.table != Table::Failures && !file.path.exists()
        };
        if attempt == ATTEMPTS || !answers.iter().any(is_gone) {
            return Ok((survey, answers));
        }
        attempt += 1;
    }
}

/// Reads every file on its own.
fn read_all(store: &Store, files: &[StoredFile]) -> Vec<Answer> {
    let progress = progress(files.len());
    // Cells of one file follow each other, in the order that they lie in.
    let mut sorted: Vec<&StoredFile> = files.iter().collect();
    sorted.sort_by_key(|file| (&file.path, file.part));
    let by_file: Vec<&[&StoredFile]> = sorted.chunk_by(|a, b| a.path == b.path).collect();
    let read = |of_file: &&[&StoredFile]| {
        let answers = read_file(store, of_file);
        progress.inc(answers.len() as u64);
        answers
    };
    let answers = by_file.par_iter().flat_map_iter(read).collect();
    progress.finish_and_clear();
    answers
}

/// Reads the cells of one file.
fn read_file(store: &Store, files: &[&StoredFile]) -> Vec<Answer> {
    let [first, ..] = files else { return Vec::new() };
    if first.table == Table::Failures {
        let failure = |&file: &&StoredFile| {
            (file.clone(), read_failure(file).map(|own| TableFile::Failure(Box::new(own))))
        };
        return files.iter().map(failure).collect();
    }
    let mut answers = Vec::with_capacity(files.len());
    let columns = match is_observed(first.table) {
        // Its rows are read by those who know them.
        true => vec!["cell_id"],
        false => columns_of(first.table),
    };
    let read = guarded(|| {
        each_cell(files, &columns, |file, read| {
            let answer = guarded(|| {
                let (cell, frame) = read?;
                Ok(match is_observed(file.table) {
                    true => TableFile::Observed(Box::new(read_observed(store, file, cell)?)),
                    false => TableFile::Result(Box::new(result_of(store, file, cell, &frame)?)),
                })
            });
            answers.push((file.clone(), answer));
        });
        Ok(())
    });
    if let Err(error) = read {
        let unread = &files[answers.len()..];
        answers.extend(unread.iter().map(|&file| (file.clone(), Err(anyhow!("{error:#}")))));
    }
    answers
}

/// A bar over files on a terminal, once there are so many that reading them takes its time.
fn progress(n_files: usize) -> ProgressBar {
    const MANY: usize = 2000;
    if n_files < MANY {
        return ProgressBar::hidden();
    }
    // The template is a constant; a wrong one would fall back to the plain bar.
    let style = ProgressStyle::with_template("tables [{bar:30}] {pos}/{len}  {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(n_files as u64).with_style(style.progress_chars("=> "))
}

/// The work order; none where there is no such file.
fn read_order(path: &Path) -> Result<Option<WorkOrder>> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = fs::read(path)?;
    let order = serde_json::from_slice(&bytes).context("it is not a work order")?;
    Ok(Some(order))
}

/// Ids of the scores that ordered cells rest on, less those that are ordered.
fn by_products(order: &WorkOrder) -> BTreeSet<String> {
    let scores = order.cells.iter().filter_map(|ordered| {
        let cell = ordered.cell.scores_cell()?;
        Some(cell_id(&cell, &order.inputs_of(&cell)?))
    });
    let mut ids: BTreeSet<String> = scores.collect();
    order.cells.iter().for_each(|ordered| {
        ids.remove(&ordered.id);
    });
    ids
}

/// The folder's own name, also for `.` and paths that end in `..`.
fn folder_name(folder: &Path) -> String {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    whole.file_name().unwrap_or(whole.as_os_str()).to_string_lossy().into_owned()
}
