//! Pipeline files: TOML in, a validated list of cells out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::dataset_entry::read_datasets;
use crate::model_entry::read_models;
use crate::reader::{At, Mistakes, Reader, Section, read_document};
use crate::{Cell, DatasetEntry, ModelEntry, Reading, TaskName, check_folder_name, sweep};

/// A pipeline file, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// The name of the run; its results lie in `results/<name>`.
    pub name: String,
    /// What the run is for.
    pub description: String,
    /// Seed of everything random in the run.
    pub seed: u64,
    /// The claims file whose sentences a report of the run judges, relative to the pipeline file; none where
    /// that is the usual one.
    pub claims: Option<PathBuf>,
    /// The models, in the order of the file.
    pub models: Vec<ModelEntry>,
    /// The texts with their protocols, in the order of the file.
    pub datasets: Vec<DatasetEntry>,
    /// The grid: by model, then by text, dense first, then the sweeps in the order of the file.
    pub cells: Vec<Cell>,
}

/// A text that a pipeline needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextSource {
    /// The name used by cells.
    pub name: String,
    /// Where it lies, relative to the pipeline file; none for a known text.
    pub path: Option<PathBuf>,
    /// How the file at `path` is read.
    pub reading: Reading,
}

/// A task of a user's own that a pipeline needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskSource {
    /// The name that protocols have.
    pub name: TaskName,
    /// The file that defines it, relative to the pipeline file.
    pub path: PathBuf,
}

const TOP_KEYS: &[&str] = &["name", "description", "seed", "claims", "model", "dataset", "sweep"];

impl Pipeline {
    /// Reads a pipeline file; `known_models` are the names of `data/models.lock`.
    ///
    /// # Errors
    /// [`Mistakes`] holds every mistake of the file, each with its line.
    pub fn parse(text: &str, known_models: &[String]) -> Result<Pipeline, Mistakes> {
        read_document(text, |reader, top| {
            if let (None, Some(stage)) = (top.table.get("model"), top.table.get("stage")) {
                // Of another file everything would be a mistake.
                let message = "this is a space of recipes, for `cargo xtask advise --space`: a pipeline has a \
                               `name` and [[model]], and no stages";
                reader.mistake(&stage.span(), "", message);
                return None;
            }
            reader.check_keys(top, TOP_KEYS);
            let name = read_run_name(reader, top);
            let description = match top.table.get("description") {
                Some(value) => reader.string(value, "", "description").map(|at| at.value),
                None => Some(String::new()),
            };
            let seed = reader
                .required(top, "seed", "a whole number; nothing random is seeded in hiding")
                .and_then(|value| reader.whole(value, "", "seed", 0));
            let claims = top.table.get("claims").and_then(|v| reader.string(v, "", "claims"));
            let claims = claims.map(|at| PathBuf::from(at.value));
            let models = read_models(reader, top, known_models);
            let datasets = read_datasets(reader, top);
            let seed = seed.map(|at| at.value);
            let cells = sweep::read_cells(reader, top, &models, &datasets, seed.unwrap_or(0));
            let datasets = datasets.into_iter().map(|at| at.value).collect();
            let models = models.into_iter().map(|at| at.value).collect();
            let (name, description, seed) = (name?, description?, seed?);
            Some(Pipeline { name, description, seed, claims, models, datasets, cells })
        })
    }

    /// The texts that the given cells need, calibration texts included, sorted by name.
    pub fn texts(&self, cells: &[Cell]) -> Vec<TextSource> {
        let files: BTreeMap<&str, (Option<&Path>, Reading)> =
            self.datasets.iter().flat_map(DatasetEntry::files).collect();
        let evaluated = cells.iter().map(|cell| cell.dataset.as_str());
        let calibrated =
            cells.iter().filter_map(|cell| cell.calibration.as_ref()).map(|c| c.dataset.as_str());
        let needed: BTreeSet<&str> = evaluated.chain(calibrated).collect();
        let source = |name: &str| {
            let (path, reading) = files.get(name).copied().unwrap_or_default();
            TextSource { name: name.to_owned(), path: path.map(Path::to_owned), reading }
        };
        needed.into_iter().map(source).collect()
    }

    /// The tasks of a user's own that the given cells need, sorted by name.
    pub fn tasks(&self, cells: &[Cell]) -> Vec<TaskSource> {
        let needed: BTreeSet<TaskName> =
            cells.iter().filter_map(|cell| cell.protocol.task()).collect();
        let own = self.datasets.iter().filter_map(DatasetEntry::own_task);
        own.filter(|task| needed.contains(&task.name))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    /// The models that the given cells need, in the order of the file.
    pub fn models_of(&self, cells: &[Cell]) -> Vec<ModelEntry> {
        let needed: BTreeSet<&str> = cells.iter().map(|cell| cell.model.as_str()).collect();
        self.models.iter().filter(|m| needed.contains(m.name.as_str())).cloned().collect()
    }
}

fn read_run_name(reader: &mut Reader<'_>, top: &Section<'_>) -> Option<String> {
    let value = top.table.get("name");
    let Some(value) = value else {
        reader.mistake(&top.span, "", "missing key `name`: expected the name of the run");
        return None;
    };
    let Some(text) = value.get_ref().as_str() else {
        let found = value.get_ref().type_str();
        reader.mistake(&value.span(), "", format!("`name`: expected a string, found {found}"));
        return None;
    };
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || !text.chars().all(valid) {
        let message = format!("`name`: `{text}` names a folder: use a-z, 0-9 and - only");
        reader.mistake(&value.span(), "", message);
        return None;
    }
    let name = At { span: value.span(), value: text.to_owned() };
    check_entry_name(reader, &name, "", "name").then_some(name.value)
}

/// A name that becomes a folder: `results/NAME`, or after its key, `model=NAME` or `dataset=NAME`.
pub(crate) fn check_entry_name(
    reader: &mut Reader<'_>,
    name: &At<String>,
    place: &str,
    key: &str,
) -> bool {
    match check_folder_name(&name.value) {
        Ok(()) => true,
        Err(error) => {
            reader.mistake(&name.span, place, format!("`{key}`: {error}"));
            false
        }
    }
}
