//! The cells of a run, from its order and its files, and which of them a text means.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use plan::{Cell, Recipe, WorkOrder, cell_id, most_alike};
use runs::{Damaged, ORDER, RunFolder, StoredFile, SurveyAnswer, Table};

use crate::exit::Exit;
use crate::stored;

/// Fewest characters that stand for an id.
const SHORTEST_PREFIX: usize = 4;
/// Cells and labels that a message lists.
const LISTED: usize = 12;
/// Labels that are proposed for one that is not there.
const PROPOSED: usize = 5;

/// A cell of a run, and the files of its id.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownCell {
    /// None where only a damaged file bears the id.
    pub(crate) cell: Option<Cell>,
    /// Whether the run's last order names it.
    pub(crate) is_ordered: bool,
    /// Whether the order names a cell that reads its scores.
    pub(crate) is_by_product: bool,
    /// Its complete rows, in a file of its own or in one with others.
    pub(crate) results: Option<StoredFile>,
    /// The record of its failure.
    pub(crate) failure: Option<StoredFile>,
    /// A file of its name that does not count.
    pub(crate) damaged: Option<Damaged>,
}

impl KnownCell {
    pub(crate) fn label(&self) -> String {
        self.cell.as_ref().map_or("unknown: its file is damaged".to_owned(), Cell::label)
    }

    /// One word for its state.
    pub(crate) fn state_name(&self) -> &'static str {
        match self {
            KnownCell { results: Some(_), .. } => "done",
            KnownCell { damaged: Some(_), .. } => "damaged",
            KnownCell { failure: Some(_), .. } => "failed",
            _ => "missing",
        }
    }

    /// Whether the last order rests on it in any way.
    pub(crate) fn is_current(&self) -> bool {
        self.is_ordered || self.is_by_product
    }
}

/// A run with all cells that are known of it.
#[derive(Debug)]
pub(crate) struct KnownRun {
    pub(crate) name: String,
    pub(crate) folder: RunFolder,
    pub(crate) order: Option<WorkOrder>,
    /// By id.
    pub(crate) cells: BTreeMap<String, KnownCell>,
    /// Ids by what is measured; several where code or inputs changed between orders.
    ids: BTreeMap<String, Vec<String>>,
}

/// A cell as a text that is equal for equal cells.
fn key(cell: &Cell) -> String {
    // A cell is made of names and numbers; their JSON cannot fail.
    serde_json::to_string(cell).unwrap_or_default()
}

/// The runs in `folder`, or the run that it is.
///
/// # Errors
/// Exit code 4 when the folder cannot be read or holds no run.
pub(crate) fn read_runs(worker: &Path, folder: &Path) -> Result<Vec<KnownRun>> {
    let unusable = || Exit::results(format!("cannot read the results in {}", folder.display()));
    let runs = stored::runs_of(folder)?;
    runs.iter().map(|run| KnownRun::read(worker, run).with_context(unusable)).collect()
}

impl KnownRun {
    fn read(worker: &Path, path: &Path) -> Result<KnownRun> {
        let folder = RunFolder::open_read_only(path)?;
        let order = read_order(&path.join(ORDER));
        let mut cells: BTreeMap<String, KnownCell> = BTreeMap::new();
        for ordered in order.iter().flat_map(|order| &order.cells) {
            let known = cells.entry(ordered.id.clone()).or_default();
            (known.cell, known.is_ordered) = (Some(ordered.cell.clone()), true);
        }
        for (id, cell) in order.iter().flat_map(by_products) {
            let known = cells.entry(id).or_default();
            known.is_by_product = true;
            known.cell.get_or_insert(cell);
        }
        let SurveyAnswer { survey, cells: stored } = stored::survey(worker, path, true)?;
        for file in survey.files {
            let found = stored.get(&file.id);
            let known = cells.entry(file.id.clone()).or_default();
            if known.cell.is_none() {
                known.cell = found.cloned();
            }
            match file.table {
                Table::Failures => known.failure = Some(file),
                _ => known.results = Some(file),
            }
        }
        for damaged in survey.damaged {
            let id = damaged.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            cells.entry(id).or_default().damaged = Some(damaged);
        }
        let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (id, known) in &cells {
            if let Some(cell) = &known.cell {
                ids.entry(key(cell)).or_default().push(id.clone());
            }
        }
        let folder_name = || path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = order.as_ref().map_or_else(folder_name, |order| order.run.clone());
        Ok(KnownRun { name, folder, order, cells, ids })
    }

    pub(crate) fn get(&self, id: &str) -> Option<&KnownCell> {
        self.cells.get(id)
    }

    /// The id under which `cell` stands beside the cell with the id `of`: one of the last order if that
    /// is, else one that is not.
    fn id_beside(&self, cell: &Cell, of: &str) -> Option<&str> {
        let is_current = |id: &str| self.get(id).is_some_and(KnownCell::is_current);
        let ids = self.ids.get(&key(cell))?;
        ids.iter().map(String::as_str).find(|id| is_current(id) == is_current(of))
    }

    /// The dense cell that the cell with this id is compared with, and its id if the run has it.
    pub(crate) fn baseline_of(&self, id: &str) -> Option<(Cell, Option<&str>)> {
        let cell = self.get(id)?.cell.as_ref()?;
        if !cell.recipe.changes_anything() {
            return None;
        }
        let dense = Recipe::dense(cell.recipe.seed());
        let dense = Cell { calibration: None, recipe: dense, compare: None, ..cell.clone() };
        let id = self.id_beside(&dense, id);
        Some((dense, id))
    }

    /// The cell whose scores the cell with this id reads, and its id if the run has it.
    pub(crate) fn scores_of(&self, id: &str) -> Option<(Cell, Option<&str>)> {
        let scores = self.get(id)?.cell.as_ref()?.scores_cell()?;
        let id = self.id_beside(&scores, id);
        Some((scores, id))
    }

    /// The ids of the cells that are compared with this one, and of those that read its scores.
    pub(crate) fn dependents_of(&self, id: &str) -> (Vec<&str>, Vec<&str>) {
        let all = || self.cells.keys().map(String::as_str);
        let rests = |found: Option<(Cell, Option<&str>)>| {
            found.and_then(|(_, other)| other).is_some_and(|other| other == id)
        };
        let compared = all().filter(|other| rests(self.baseline_of(other))).collect();
        let scored = all().filter(|other| rests(self.scores_of(other))).collect();
        (compared, scored)
    }
}

/// The last order; none where there is no readable one.
fn read_order(path: &Path) -> Option<WorkOrder> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Ids and cells of the scores that ordered cells rest on.
fn by_products(order: &WorkOrder) -> Vec<(String, Cell)> {
    let scores = order.cells.iter().filter_map(|ordered| {
        let cell = ordered.cell.scores_cell()?;
        Some((cell_id(&cell, &order.inputs_of(&cell)?), cell))
    });
    scores.collect()
}

/// The id that `given` stands for: the beginning of an id, or a label.
///
/// # Errors
/// Exit code 2 with what it could be instead, where it stands for several cells or for none.
pub(crate) fn find(given: &str, runs: &[KnownRun]) -> Result<String, Exit> {
    let mut found: Vec<(&KnownRun, &str)> = Vec::new();
    for run in runs {
        let lower = given.to_lowercase();
        let is_meant = |id: &&String| given.len() >= SHORTEST_PREFIX && id.starts_with(&lower);
        found.extend(run.cells.keys().filter(is_meant).map(|id| (run, id.as_str())));
    }
    if found.is_empty() {
        found = with_label(given, runs);
    }
    if found.is_empty() {
        found = with_words(given, runs);
    }
    let Some((_, first)) = found.first() else { return Err(unknown(given, runs)) };
    if found.iter().all(|(_, id)| id == first) {
        return Ok((*first).to_owned());
    }
    let mut lines = vec![format!("`{given}` stands for {} cells: name one by its id", found.len())];
    for (run, id) in found.iter().take(LISTED) {
        let known = run.get(id).cloned().unwrap_or_default();
        let old = if known.is_current() { "" } else { ", not of the last order" };
        let state = known.state_name();
        lines.push(format!("  {id}  {}  (run {}, {state}{old})", known.label(), run.name));
    }
    if found.len() > LISTED {
        lines.push(format!("  … and {} more", found.len() - LISTED));
    }
    Err(Exit::usage(lines.join("\n")))
}

/// The cells with a label; of a run's cells those of its last order go first.
fn with_label<'a>(given: &str, runs: &'a [KnownRun]) -> Vec<(&'a KnownRun, &'a str)> {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let given = words(given);
    let mut found = Vec::new();
    for run in runs {
        let named = run.cells.iter().filter(|(_, known)| {
            known.cell.as_ref().is_some_and(|cell| words(&cell.label()) == given)
        });
        let named: Vec<_> = named.collect();
        let has_current = named.iter().any(|(_, known)| known.is_current());
        let meant = named.into_iter().filter(|(_, known)| known.is_current() || !has_current);
        found.extend(meant.map(|(id, _)| (run, id.as_str())));
    }
    found
}

/// A label's words as they may be written: in any order, with brackets, `κ=0.90` for `κ=.9`.
fn words_of(text: &str) -> BTreeSet<String> {
    let bare = |word: &str| word.trim_matches(|c: char| "(),·`".contains(c)).to_lowercase();
    let number = |word: String| match word.split_once('=') {
        Some((name, value)) => match value.parse::<f64>() {
            Ok(value) => format!("{name}={value}"),
            Err(_) => word,
        },
        None => word,
    };
    text.split_whitespace().map(bare).filter(|word| !word.is_empty()).map(number).collect()
}

/// The cells whose labels have all of the words; those that have no other word go first.
fn with_words<'a>(given: &str, runs: &'a [KnownRun]) -> Vec<(&'a KnownRun, &'a str)> {
    let given = words_of(given);
    let mut found: Vec<(usize, &KnownRun, &str)> = Vec::new();
    for run in runs {
        for (id, known) in run.cells.iter().filter(|(_, known)| known.is_current()) {
            let Some(cell) = &known.cell else { continue };
            let words = words_of(&cell.label());
            if given.is_subset(&words) {
                found.push((words.len() - given.len(), run, id.as_str()));
            }
        }
    }
    let exact = found.iter().any(|(surplus, ..)| *surplus == 0);
    let meant = found.into_iter().filter(|(surplus, ..)| !exact || *surplus == 0);
    meant.map(|(_, run, id)| (run, id)).collect()
}

fn unknown(given: &str, runs: &[KnownRun]) -> Exit {
    let known = runs.iter().flat_map(|run| run.cells.values());
    let mut labels: Vec<String> =
        known.filter_map(|own| Some(own.cell.as_ref()?.label())).collect();
    labels.sort();
    labels.dedup();
    let alike = most_alike(given, labels.iter().map(String::as_str), PROPOSED);
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let mut lines = vec![format!("no cell `{given}` in {}", names.join(", "))];
    if given.len() < SHORTEST_PREFIX {
        lines.push(format!("  an id needs at least {SHORTEST_PREFIX} characters"));
    }
    if !alike.is_empty() {
        lines.push("  the most alike:".to_owned());
        lines.extend(alike.iter().map(|label| format!("    {label}")));
    }
    Exit::usage(lines.join("\n"))
}
