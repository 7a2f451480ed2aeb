//! Pipeline files: TOML in, a validated list of cells out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::model_entry::read_models;
use crate::reader::{At, Mistakes, Reader, Section, read_document};
use crate::{
    Cell, ModelEntry, Protocol, Reading, TextShape, UnknownName, calibration_window_tokens,
    check_folder_name, datasets, sweep,
};

/// A pipeline file, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// The name of the run; its results lie in `results/<name>`.
    pub name: String,
    /// What the run is for.
    pub description: String,
    /// Seed of everything random in the run.
    pub seed: u64,
    /// The models, in the order of the file.
    pub models: Vec<ModelEntry>,
    /// The texts with their protocols, in the order of the file.
    pub datasets: Vec<DatasetEntry>,
    /// The grid: by model, then by text, dense first, then the sweeps in the order of the file.
    pub cells: Vec<Cell>,
}

/// A `[[dataset]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetEntry {
    /// The name used by cells.
    pub name: String,
    /// Where it lies, relative to the pipeline file; none for a known text.
    pub path: Option<PathBuf>,
    /// How the file at `path` is read.
    pub reading: Reading,
    /// How it is turned into numbers.
    pub protocol: Protocol,
    /// Windows or items evaluated; none means all.
    pub limit: Option<usize>,
    /// The text on which kept sets are chosen before the run.
    pub calibration: Option<CalibrationEntry>,
}

impl DatasetEntry {
    /// Its texts by name: its own, and the one that calibrates.
    fn files(&self) -> impl Iterator<Item = (&str, (Option<&Path>, Reading))> {
        let own = (self.name.as_str(), (self.path.as_deref(), self.reading));
        let calibration = self.calibration.as_ref();
        let calibration = calibration.map(|c| (c.dataset.as_str(), (c.path.as_deref(), c.reading)));
        std::iter::once(own).chain(calibration)
    }
}

/// The `calibration` of a `[[dataset]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalibrationEntry {
    /// The name of the text.
    pub dataset: String,
    /// Where it lies, relative to the pipeline file; none for a known text.
    pub path: Option<PathBuf>,
    /// How the file at `path` is read.
    pub reading: Reading,
    /// Windows used; none means all.
    pub limit: Option<usize>,
    /// Ids in one window.
    pub window_tokens: usize,
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

const TOP_KEYS: &[&str] = &["name", "description", "seed", "model", "dataset", "sweep"];
const DATASET_KEYS: &[&str] =
    &["name", "path", "shape", "documents", "protocol", "limit", "calibration"];
const CALIBRATION_KEYS: &[&str] =
    &["dataset", "path", "shape", "documents", "limit", "window_tokens"];
/// The formats of texts that say themselves what an entry is, and the one that does not.
const TEXT_ENDINGS: &[&str] = &[".raw", ".jsonl", ".jsonl.gz", ".json.gz", PARQUET];
const PARQUET: &str = ".parquet";

impl Pipeline {
    /// Reads a pipeline file; `known_models` are the names of `data/models.lock`.
    ///
    /// # Errors
    /// [`Mistakes`] holds every mistake of the file, each with its line.
    pub fn parse(text: &str, known_models: &[String]) -> Result<Pipeline, Mistakes> {
        read_document(text, |reader, top| {
            reader.check_keys(top, TOP_KEYS);
            let name = read_run_name(reader, top);
            let description = match top.table.get("description") {
                Some(value) => reader.string(value, "", "description").map(|at| at.value),
                None => Some(String::new()),
            };
            let seed = reader
                .required(top, "seed", "a whole number; nothing random is seeded in hiding")
                .and_then(|value| reader.whole(value, "", "seed", 0));
            let models = read_models(reader, top, known_models);
            let datasets = read_datasets(reader, top);
            let seed = seed.map(|at| at.value);
            let cells = sweep::read_cells(reader, top, &models, &datasets, seed.unwrap_or(0));
            let datasets = datasets.into_iter().map(|at| at.value).collect();
            let models = models.into_iter().map(|at| at.value).collect();
            let (name, description, seed) = (name?, description?, seed?);
            Some(Pipeline { name, description, seed, models, datasets, cells })
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

/// The path of a text and how it is read, with the checks shared by `[[dataset]]` and `calibration`.
fn read_text_file<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    name: &At<String>,
) -> (Option<PathBuf>, Reading) {
    let place = section.place.as_str();
    let path = section.table.get("path").and_then(|value| reader.string(value, place, "path"));
    let reading = read_reading(reader, section);
    let is_known = datasets::find(&name.value).is_some();
    match &path {
        None if !is_known && !section.table.contains_key("path") => {
            let error = UnknownName::new("dataset", name.value.as_str(), datasets::names());
            reader.mistake(&name.span, place, format!("{error}; or give its `path`"));
        }
        None if is_known && reading != Reading::default() => {
            let message =
                format!("`{}` is a known text and takes no shape or documents", name.value);
            reader.mistake(&name.span, place, message);
        }
        Some(path) if is_known => {
            let message = format!("`{}` is a known text and takes no path: rename it", name.value);
            reader.mistake(&path.span, place, message);
        }
        Some(path) if !TEXT_ENDINGS.iter().any(|ending| path.value.ends_with(ending)) => {
            let (endings, found) = (TEXT_ENDINGS.join(", "), &path.value);
            let message = format!("`path`: expected a file of {endings}, found `{found}`");
            reader.mistake(&path.span, place, message);
        }
        Some(path) if path.value.ends_with(PARQUET) != reading.shape.is_some() => {
            let message =
                "`shape` (`rows` or `documents`) belongs to a .parquet file, which needs it";
            reader.mistake(&path.span, place, message);
        }
        _ => {}
    }
    (path.map(|at| PathBuf::from(at.value)), reading)
}

fn read_reading<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Reading {
    let (table, place) = (section.table, section.place.as_str());
    let shape = table.get("shape").and_then(|v| reader.name::<TextShape>(v, place, "shape"));
    let documents = table.get("documents").and_then(|v| reader.count(v, place, "documents"));
    Reading { shape: shape.map(|at| at.value), documents: documents.map(|at| at.value) }
}

fn read_datasets<'a>(reader: &mut Reader<'a>, top: &Section<'a>) -> Vec<At<DatasetEntry>> {
    let sections = reader.tables(top, "dataset");
    if sections.is_empty() && !top.table.contains_key("dataset") {
        reader.mistake(&top.span, "", "missing [[dataset]]: expected at least one");
    }
    let mut entries: Vec<At<DatasetEntry>> = Vec::new();
    for section in sections {
        let place = section.place.as_str();
        reader.check_keys(&section, DATASET_KEYS);
        let name = reader
            .required(&section, "name", "the name of a text")
            .and_then(|value| reader.string(value, place, "name"));
        let protocol = reader
            .required(&section, "protocol", "`ppl-T`, `lambada-openai` or `lambada-last-token`")
            .and_then(|value| reader.name::<Protocol>(value, place, "protocol"));
        let limit = section.table.get("limit").and_then(|v| reader.count(v, place, "limit"));
        // Without a protocol there is no entry, and what its windows were is all one.
        let of_protocol = protocol.as_ref().map_or(Protocol::LambadaOpenai, |at| at.value);
        let calibration = read_calibration(reader, &section, of_protocol);
        let Some(name) = name else { continue };
        if !check_entry_name(reader, &name, place, "name") {
            continue;
        }
        let (path, reading) = read_text_file(reader, &section, &name);
        let Some(protocol) = protocol else { continue };
        let file = path.clone().or(datasets::find(&name.value).map(|known| known.file.into()));
        let is_raw = file.is_some_and(|file| file.extension().is_some_and(|e| e == "raw"));
        let is_rows = is_raw || reading.shape == Some(TextShape::Rows);
        if is_rows && !protocol.value.is_perplexity() {
            let message = format!("`{}` needs items: a .jsonl file", protocol.value);
            reader.mistake(&protocol.span, place, message);
        }
        let entry = DatasetEntry {
            name: name.value.clone(),
            path,
            reading,
            protocol: protocol.value,
            limit: limit.map(|at| at.value),
            calibration,
        };
        check_against_others(reader, place, &name, &entry, &entries);
        entries.push(At { span: name.span, value: entry });
    }
    entries
}

/// One (name, protocol) pair appears once, and one name stands for one file.
fn check_against_others(
    reader: &mut Reader<'_>,
    place: &str,
    name: &At<String>,
    entry: &DatasetEntry,
    others: &[At<DatasetEntry>],
) {
    if entry.calibration.as_ref().is_some_and(|calibration| calibration.dataset == entry.name) {
        let message = format!("`{}` cannot be its own calibration text", entry.name);
        reader.mistake(&name.span, place, message);
        return;
    }
    let is_same = |other: &&At<DatasetEntry>| {
        other.value.name == entry.name && other.value.protocol == entry.protocol
    };
    if others.iter().any(|other| is_same(&other)) {
        let message = format!("`{}` with `{}` is listed twice", entry.name, entry.protocol);
        reader.mistake(&name.span, place, message);
        return;
    }
    let files = || others.iter().flat_map(|other| other.value.files()).chain(entry.files());
    for (name_of_file, file) in entry.files() {
        if files().any(|(other, other_file)| other == name_of_file && other_file != file) {
            let message = format!("`{name_of_file}` stands for two files: rename one");
            reader.mistake(&name.span, place, message);
        }
    }
}

fn read_calibration<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    protocol: Protocol,
) -> Option<CalibrationEntry> {
    let value = section.table.get("calibration")?;
    let Some(table) = value.get_ref().as_table() else {
        let found = value.get_ref().type_str();
        let message = format!(
            "`calibration`: expected {{ dataset = \"wikitext2-valid\", limit = 8 }}, found {found}"
        );
        reader.mistake(&value.span(), &section.place, message);
        return None;
    };
    let place = format!("{}: calibration", section.place);
    let inner = Section { place: place.clone(), span: value.span(), table };
    reader.check_keys(&inner, CALIBRATION_KEYS);
    let limit = table.get("limit").and_then(|v| reader.count(v, &place, "limit"));
    let window_tokens = table.get("window_tokens").and_then(|value| {
        let at = reader.whole(value, &place, "window_tokens", 2)?;
        usize::try_from(at.value).ok()
    });
    let dataset = reader
        .required(&inner, "dataset", "the name of a text")
        .and_then(|value| reader.string(value, &place, "dataset"))?;
    // Its scores are stored under its name.
    let (path, reading) = match check_entry_name(reader, &dataset, &place, "dataset") {
        true => read_text_file(reader, &inner, &dataset),
        false => Default::default(),
    };
    Some(CalibrationEntry {
        dataset: dataset.value,
        path,
        reading,
        limit: limit.map(|at| at.value),
        window_tokens: calibration_window_tokens(protocol, window_tokens),
    })
}
