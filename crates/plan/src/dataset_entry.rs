//! `[[dataset]]` of a pipeline: a text or items, how they are turned into numbers, and what calibrates.

use std::path::{Path, PathBuf};

use crate::pipeline::{TaskSource, check_entry_name};
use crate::reader::{At, Reader, Section};
use crate::{
    Measure, Protocol, Reading, TaskName, TextShape, UnknownName, calibration_window_tokens,
    datasets,
};

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
    /// The file that defines the task of the protocol, relative to the pipeline file; none for a task of
    /// this project.
    pub task: Option<PathBuf>,
    /// Windows or items evaluated; none means all.
    pub limit: Option<usize>,
    /// Windows or items left out at the beginning.
    pub offset: Option<usize>,
    /// The text on which kept sets are chosen before the run.
    pub calibration: Option<CalibrationEntry>,
}

impl DatasetEntry {
    /// The task that the user defines, where there is one.
    pub(crate) fn own_task(&self) -> Option<TaskSource> {
        Some(TaskSource { name: self.protocol.task()?, path: self.task.clone()? })
    }

    /// Its texts by name: its own, and the one that calibrates.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, (Option<&Path>, Reading))> {
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

const DATASET_KEYS: &[&str] =
    &["name", "path", "shape", "documents", "protocol", "task", "limit", "offset", "calibration"];
const CALIBRATION_KEYS: &[&str] =
    &["dataset", "path", "shape", "documents", "limit", "window_tokens"];
/// The formats of texts that say themselves what an entry is, and the one that does not.
const TEXT_ENDINGS: &[&str] = &[".raw", ".jsonl", ".jsonl.gz", ".json.gz", PARQUET];
const PARQUET: &str = ".parquet";

/// The path of a text and how it is read, with the checks shared by `[[dataset]]` and `calibration`.
fn read_text_file<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    name: &At<String>,
    measure: Option<Measure>,
) -> (Option<PathBuf>, Reading) {
    let place = section.place.as_str();
    let path = section.table.get("path").and_then(|value| reader.string(value, place, "path"));
    let reading = read_reading(reader, section);
    let is_known = datasets::find(&name.value).is_some();
    let is_choice = measure == Some(Measure::Choice);
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
        Some(path)
            if is_choice && (reading != Reading::default() || path.value.ends_with(".raw")) =>
        {
            let message = "a task of choices has items: a .jsonl or .parquet file, no `shape`, and \
                           `limit` in place of `documents`";
            reader.mistake(&path.span, place, message);
        }
        Some(path) if !is_choice && path.value.ends_with(PARQUET) != reading.shape.is_some() => {
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

/// Every `[[dataset]]`.
pub(crate) fn read_datasets<'a>(
    reader: &mut Reader<'a>,
    top: &Section<'a>,
) -> Vec<At<DatasetEntry>> {
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
            .required(
                &section,
                "protocol",
                "`ppl-T`, `lambada-openai`, `lambada-last-token` or `choice-TASK`",
            )
            .and_then(|value| reader.name::<Protocol>(value, place, "protocol"));
        let limit = section.table.get("limit").and_then(|v| reader.count(v, place, "limit"));
        let offset = section.table.get("offset").and_then(|v| reader.count(v, place, "offset"));
        // Without a protocol there is no entry, and what its windows were is all one.
        let of_protocol = protocol.as_ref().map_or(Protocol::LambadaOpenai, |at| at.value);
        let calibration = read_calibration(reader, &section, of_protocol);
        let Some(name) = name else { continue };
        if !check_entry_name(reader, &name, place, "name") {
            continue;
        }
        let measure = protocol.as_ref().map(|at| at.value.measure());
        let (path, reading) = read_text_file(reader, &section, &name, measure);
        let task = read_task(reader, &section, protocol.as_ref());
        let Some(protocol) = protocol else { continue };
        let file = path.clone().or(datasets::find(&name.value).map(|known| known.file.into()));
        let is_raw = file.is_some_and(|file| file.extension().is_some_and(|e| e == "raw"));
        let is_rows = is_raw || reading.shape == Some(TextShape::Rows);
        if is_rows && protocol.value.measure() != Measure::MeanLoss {
            let message = format!("`{}` needs items: a .jsonl file", protocol.value);
            reader.mistake(&protocol.span, place, message);
        }
        check_items(reader, place, &name, &protocol);
        let entry = DatasetEntry {
            name: name.value.clone(),
            path,
            reading,
            protocol: protocol.value,
            task,
            limit: limit.map(|at| at.value),
            offset: offset.map(|at| at.value),
            calibration,
        };
        check_against_others(reader, place, &name, &entry, &entries);
        entries.push(At { span: name.span, value: entry });
    }
    entries
}

/// The file that defines a task, where the protocol is of a user's own.
fn read_task<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    protocol: Option<&At<Protocol>>,
) -> Option<PathBuf> {
    let place = section.place.as_str();
    let file = section.table.get("task").and_then(|value| reader.string(value, place, "task"));
    let protocol = protocol?;
    let of_choices = protocol.value.task();
    let is_known = |task: TaskName| datasets::tasks().any(|known| known == task.as_str());
    match (&file, of_choices) {
        (Some(file), None) => {
            let message =
                format!("`{}` has no task: `task` belongs to choice-TASK", protocol.value);
            reader.mistake(&file.span, place, message);
        }
        (Some(file), Some(task)) if is_known(task) => {
            let message =
                format!("`{task}` is a task of this project and takes no file: rename it");
            reader.mistake(&file.span, place, message);
        }
        (None, Some(task)) if !is_known(task) => {
            let error = UnknownName::new("task", task.as_str(), datasets::tasks());
            let message = format!("{error}; or give `task`, the TOML file that defines it");
            reader.mistake(&protocol.span, place, message);
        }
        _ => {}
    }
    file.map(|at| PathBuf::from(at.value))
}

/// Known items belong to one task, and known texts to none.
fn check_items(reader: &mut Reader<'_>, place: &str, name: &At<String>, protocol: &At<Protocol>) {
    if let Err(message) = datasets::check_protocol(&name.value, protocol.value) {
        reader.mistake(&protocol.span, place, message);
    }
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
    let is_other_task = |other: &At<DatasetEntry>| {
        other.value.protocol == entry.protocol && other.value.task != entry.task
    };
    if others.iter().any(is_other_task) {
        let message = format!("`{}` stands for two tasks: rename one", entry.protocol);
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
    if datasets::find(&dataset.value).is_some_and(|known| known.task.is_some()) {
        let message =
            format!("`{}` holds items of a task, not text to calibrate on", dataset.value);
        reader.mistake(&dataset.span, &place, message);
    }
    let (path, reading) = match check_entry_name(reader, &dataset, &place, "dataset") {
        true => read_text_file(reader, &inner, &dataset, None),
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
