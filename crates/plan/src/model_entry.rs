//! `[[model]]`: where a model comes from.

use std::path::PathBuf;

use crate::pipeline::check_entry_name;
use crate::reader::{At, Reader, Section};
use crate::{HubName, TimeSteps, UnknownName};

/// A `[[model]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelEntry {
    /// The name used by cells.
    pub name: String,
    /// Where it comes from.
    pub source: ModelSource,
    /// How the time steps of a Zamba2 model are limited; other families have but one rule.
    pub time_steps: TimeSteps,
}

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// The cache folder; `data/models.lock` lists it by its name.
    Locked,
    /// A file or folder, relative to the pipeline file.
    Path(PathBuf),
    /// The Hub.
    Hub(HubModel),
}

/// A model of the Hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubModel {
    /// The repository, with its revision where one is given.
    pub name: HubName,
    /// A GGUF file of it in place of the usual files.
    pub file: Option<String>,
    /// The repository whose tokenizer is used, where the model has none of its own.
    pub tokenizer: Option<HubName>,
}

impl HubModel {
    /// The command that fetches it.
    pub fn fetch_command(&self) -> String {
        let mut command = format!("cargo xtask fetch {}", self.name);
        for (option, value) in [
            ("--file", self.file.clone()),
            ("--tokenizer", self.tokenizer.as_ref().map(ToString::to_string)),
        ] {
            if let Some(value) = value {
                command.push_str(&format!(" {option} {value}"));
            }
        }
        command
    }
}

const MODEL_KEYS: &[&str] = &["name", "path", "hub", "revision", "file", "tokenizer", "time_steps"];
/// Keys that say more of a model of the Hub.
const HUB_KEYS: &[&str] = &["revision", "file", "tokenizer"];

/// All `[[model]]` of a file; `known_models` are the names of `data/models.lock`.
pub(crate) fn read_models<'a>(
    reader: &mut Reader<'a>,
    top: &Section<'a>,
    known_models: &[String],
) -> Vec<At<ModelEntry>> {
    let sections = reader.tables(top, "model");
    if sections.is_empty() && !top.table.contains_key("model") {
        reader.mistake(&top.span, "", "missing [[model]]: expected at least one");
    }
    let mut models: Vec<At<ModelEntry>> = Vec::new();
    for section in sections {
        let place = section.place.as_str();
        reader.check_keys(&section, MODEL_KEYS);
        let source = read_source(reader, &section);
        let time_steps = section.table.get("time_steps");
        let time_steps = time_steps.and_then(|value| reader.name(value, place, "time_steps"));
        let name = reader
            .required(&section, "name", "the name of a model")
            .and_then(|value| reader.string(value, place, "name"));
        let Some(name) = name else { continue };
        if !check_entry_name(reader, &name, place) {
            continue;
        }
        if models.iter().any(|m| m.value.name == name.value) {
            reader.mistake(&name.span, place, format!("model `{}` is listed twice", name.value));
            continue;
        }
        check_against_lock(reader, &section, &name, known_models);
        let time_steps = time_steps.map_or_else(TimeSteps::default, |at| at.value);
        let entry = ModelEntry { name: name.value, source, time_steps };
        models.push(At { span: name.span, value: entry });
    }
    models
}

/// A name of the lock says it all; every other name needs a `path` or a `hub`.
fn check_against_lock<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    name: &At<String>,
    known_models: &[String],
) {
    let place = section.place.as_str();
    let given = ["path", "hub"].into_iter().find_map(|key| Some((key, section.table.get(key)?)));
    match (known_models.contains(&name.value), given) {
        (true, Some((key, value))) => {
            let message = format!("`{}` of data/models.lock takes no {key}: rename it", name.value);
            reader.mistake(&value.span(), place, message);
        }
        (false, None) => {
            let known = known_models.iter().map(String::as_str);
            let error = UnknownName::new("model", name.value.as_str(), known);
            let message = format!("{error}; or give its `path`, or its repository as `hub`");
            reader.mistake(&name.span, place, message);
        }
        _ => {}
    }
}

fn read_source<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> ModelSource {
    let place = section.place.as_str();
    let path = section.table.get("path");
    let Some(hub) = section.table.get("hub") else {
        for (key, value) in HUB_KEYS.iter().filter_map(|key| Some((key, section.table.get(*key)?)))
        {
            let message = format!("`{key}` belongs to a model of the Hub: give its `hub`");
            reader.mistake(&value.span(), place, message);
        }
        let path = path.and_then(|value| reader.string(value, place, "path"));
        return path.map_or(ModelSource::Locked, |at| ModelSource::Path(PathBuf::from(at.value)));
    };
    if let Some(path) = path {
        reader.mistake(&path.span(), place, "`path`: the model is on the Hub: give one of the two");
    }
    let name = read_name(reader, section, "hub");
    if name.as_ref().is_some_and(|name| name.value.revision.is_some()) {
        let message = "`hub`: expected owner/name; give the revision as `revision`";
        reader.mistake(&hub.span(), place, message);
    }
    let mut text = |key| section.table.get(key).and_then(|value| reader.string(value, place, key));
    let (revision, file) = (text("revision"), text("file"));
    if let Some(file) = file.as_ref().filter(|file| !file.value.ends_with(".gguf")) {
        let message = format!("`file`: expected a .gguf file, found `{}`", file.value);
        reader.mistake(&file.span, place, message);
    }
    let tokenizer = read_name(reader, section, "tokenizer").map(|at| at.value);
    // What is not a name has been reported, and the pipeline will not be used.
    let Some(At { span, value: HubName { repo, .. } }) = name else { return ModelSource::Locked };
    let name = HubName { repo, revision: revision.map(|at| at.value) };
    if let Err(error) = name.to_string().parse::<HubName>() {
        reader.mistake(&span, place, error.to_string());
    }
    ModelSource::Hub(HubModel { name, file: file.map(|at| at.value), tokenizer })
}

fn read_name<'a>(reader: &mut Reader<'a>, section: &Section<'a>, key: &str) -> Option<At<HubName>> {
    let value = section.table.get(key)?;
    let At { span, value: text } = reader.string(value, &section.place, key)?;
    match text.parse() {
        Ok(value) => Some(At { span, value }),
        Err(error) => {
            reader.mistake(&span, &section.place, format!("`{key}`: {error}"));
            None
        }
    }
}
