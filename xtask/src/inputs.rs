//! Finding and checking every input of a grid before any compute.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Result;
use files::StandIn;
use plan::{
    Cell, LockedModel, ModelEntry, ModelInput, ModelSource, ModelsLock, Pipeline, TaskInput,
    TextInput, TimeSteps,
};

use crate::exit::Exit;
use crate::hashing::{
    CONFIG, Digests, digests, names_in, sha256_file, tokenizer_names, weight_names,
};
use crate::hub_inputs;
use crate::texts;
use crate::workspace::Workspace;

/// Every input of the given cells, found and hashed.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) models: Vec<ModelInput>,
    pub(crate) texts: Vec<TextInput>,
    pub(crate) tasks: Vec<TaskInput>,
}

/// What inputs are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To run: everything must be there.
    Run,
    /// To plan: of a model of the Hub its shapes are enough, if `data/configs` has them.
    Plan,
}

/// Finds and hashes the inputs of `cells`.
///
/// # Errors
/// One error (exit code 3) that lists everything that is missing or has the wrong hash.
pub(crate) fn resolve(
    workspace: &Workspace,
    pipeline: &Pipeline,
    pipeline_folder: &Path,
    cells: &[Cell],
    models_lock: &ModelsLock,
    purpose: Purpose,
) -> Result<Resolved> {
    let data_lock = workspace.data_lock()?;
    let mut resolved = Resolved { models: Vec::new(), texts: Vec::new(), tasks: Vec::new() };
    let mut problems = Vec::new();
    for model in pipeline.models_of(cells) {
        let known = || planned_model(workspace, &model).filter(|_| purpose == Purpose::Plan);
        match find_model(workspace, &model, pipeline_folder, models_lock) {
            Ok(input) => resolved.models.push(input),
            Err(found) => match known() {
                Some(input) => resolved.models.push(input),
                None => problems.extend(found),
            },
        }
    }
    for text in pipeline.texts(cells) {
        match texts::find(workspace, &text, pipeline_folder, &data_lock) {
            Ok(input) => resolved.texts.push(input),
            Err(problem) => problems.push(problem),
        }
    }
    for task in pipeline.tasks(cells) {
        match texts::find_task(workspace, &task, pipeline_folder) {
            Ok(input) => resolved.tasks.push(input),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        return Ok(resolved);
    }
    let n_problems = problems.len();
    let noun = if n_problems == 1 { "input is" } else { "inputs are" };
    let list = problems.join("\n  ");
    Err(Exit::inputs(format!("{n_problems} {noun} missing or bad\n  {list}")).into())
}

/// Compares a file with its lock entry; the error says what is wrong, without what to do.
pub(crate) fn check_locked(
    workspace: &Workspace,
    path: &Path,
    sha256: &str,
    bytes: u64,
    lock: &str,
) -> Result<(), String> {
    let name = workspace.show(path);
    let metadata = fs::metadata(path).map_err(|error| format!("cannot read {name} ({error})"))?;
    if metadata.len() < bytes {
        return Err(format!("{name} is truncated: {} of {bytes} bytes", metadata.len()));
    }
    let found = sha256_file(path).map_err(|error| format!("cannot read {name} ({error})"))?;
    if found != sha256 {
        return Err(format!("{name} has sha256 {found}, but {lock} says {sha256}"));
    }
    Ok(())
}

fn find_model(
    workspace: &Workspace,
    model: &ModelEntry,
    pipeline_folder: &Path,
    lock: &ModelsLock,
) -> Result<ModelInput, Vec<String>> {
    let name = &model.name;
    let say = |text: String| format!("model `{name}`: {text}");
    match &model.source {
        ModelSource::Path(path) => own_model(workspace, name, &pipeline_folder.join(path)),
        ModelSource::Hub(hub) => hub_inputs::find_model(workspace, name, hub, lock),
        ModelSource::Locked => locked_model(workspace, name, lock).map_err(|text| vec![text]),
    }
    .map(|input| ModelInput { time_steps: model.time_steps, ..input })
    .map_err(|problems| problems.into_iter().map(say).collect())
}

/// A model of the Hub that was not fetched, by its shapes in `data/configs`.
fn planned_model(workspace: &Workspace, model: &ModelEntry) -> Option<ModelInput> {
    let ModelSource::Hub(hub) = &model.source else { return None };
    let path = workspace.root().join("data/configs").join(&hub.name.repo);
    path.join(CONFIG).is_file().then(|| ModelInput {
        name: model.name.clone(),
        path,
        sha256: hub.name.to_string(),
        tokenizer_sha256: hub.name.to_string(),
        tokenizer: None,
        planned: true,
        time_steps: model.time_steps,
    })
}

fn locked_model(
    workspace: &Workspace,
    name: &str,
    lock: &ModelsLock,
) -> Result<ModelInput, String> {
    // A pipeline names only models of the lock, or gives a path or a repository.
    let Some(entry) = lock.find(name) else {
        return Err("it is not in data/models.lock".to_owned());
    };
    let path = workspace.cache().join(&entry.file);
    if !path.exists() {
        let file = workspace.show(&path);
        return Err(format!("{file} is missing: run `cargo xtask fetch {name}`"));
    }
    check_locked(workspace, &path, &entry.sha256, entry.bytes, "data/models.lock")
        .map_err(|text| format!("{text}: delete the file and run `cargo xtask fetch {name}`"))?;
    Ok(ModelInput {
        name: name.to_owned(),
        path,
        sha256: entry.sha256.clone(),
        tokenizer_sha256: entry.sha256.clone(),
        planned: false,
        tokenizer: None,
        time_steps: TimeSteps::default(),
    })
}

/// What of a model a command reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// Weights alone: the command has token ids.
    Weights,
    /// Weights and tokenizer.
    WeightsAndTokenizer,
}

/// What is wrong with the file or folder of a model, one line a problem, as far as a glance tells.
pub(crate) fn model_problems(workspace: &Workspace, path: &Path, reads: Reads) -> Vec<String> {
    let shown = workspace.show(path);
    if path.is_dir() {
        let names = names_in(path).unwrap_or_default();
        let mut problems = Vec::new();
        if !names.iter().any(|name| name == CONFIG) {
            problems.push(format!("{shown}/{CONFIG} is missing"));
        }
        if reads == Reads::WeightsAndTokenizer && tokenizer_names(&names).is_empty() {
            let instead = "and so are vocab.json with merges.txt and tokenizer.model";
            problems.push(format!("{shown}/tokenizer.json is missing, {instead}"));
        }
        if weight_names(&names).is_empty() {
            problems.push(format!("{shown} holds no .safetensors or .bin file"));
        }
        return problems;
    }
    if !path.exists() {
        return vec![format!("{shown} is missing: give a GGUF file or a Hugging Face folder")];
    }
    let mut start = Vec::new();
    let read = fs::File::open(path)
        .and_then(|file| file.take(StandIn::TELLING as u64).read_to_end(&mut start));
    match read {
        Ok(_) if start.starts_with(b"GGUF") => Vec::new(),
        // The worker says what lies in its place, and what to do.
        Ok(_) if StandIn::of(&start).is_some() => Vec::new(),
        _ => vec![format!("{shown} is neither a GGUF file nor a Hugging Face folder")],
    }
}

/// A model that is given by hand: a file or folder, or a name of the lock file where there is no such path.
///
/// # Errors
/// Everything that is missing or wrong with it.
pub(crate) fn any_model(workspace: &Workspace, given: &Path) -> Result<ModelInput, Vec<String>> {
    let lock = workspace.models_lock().map_err(|error| vec![format!("{error:#}")])?;
    match named(&lock, given).map_err(|problem| vec![problem])? {
        Some(entry) => locked_model(workspace, &entry.name, &lock).map_err(|problem| vec![problem]),
        None => own_model(workspace, &given.display().to_string(), given),
    }
}

/// The path of a model that is given by hand as in [`any_model`]; its hash is not looked at.
///
/// # Errors
/// A file of the lock that was not fetched, or what is no name of it.
pub(crate) fn model_path(workspace: &Workspace, given: &Path) -> Result<PathBuf, String> {
    let lock = workspace.models_lock().map_err(|error| format!("{error:#}"))?;
    let Some(LockedModel { name, file, .. }) = named(&lock, given)? else {
        return Ok(absolute(given));
    };
    let path = workspace.cache().join(file);
    match path.exists() {
        true => Ok(absolute(&path)),
        false => {
            Err(format!("{} is missing: run `cargo xtask fetch {name}`", workspace.show(&path)))
        }
    }
}

/// The model of the lock file that has a name, where there is no such path.
///
/// # Errors
/// A word that is neither, with the names that there are.
fn named<'a>(lock: &'a ModelsLock, given: &Path) -> Result<Option<&'a LockedModel>, String> {
    let Some(name) = given.to_str().filter(|_| !given.exists()) else { return Ok(None) };
    let found = lock.find(name);
    let names = lock.names();
    // Anything else is meant as a path.
    if found.is_some() || name.contains(['/', '.']) || names.is_empty() {
        return Ok(found);
    }
    let names = names.join(", ");
    Err(format!(
        "{name} is missing: give a GGUF file, a Hugging Face folder, or a name of data/models.lock ({names})"
    ))
}

fn own_model(workspace: &Workspace, name: &str, path: &Path) -> Result<ModelInput, Vec<String>> {
    let problems = model_problems(workspace, path, Reads::WeightsAndTokenizer);
    if !problems.is_empty() {
        return Err(problems);
    }
    let hashes = if path.is_dir() {
        // There is a tokenizer, or its absence were a problem.
        folder_digests(path).map(|own| (own.weights, own.tokenizer.unwrap_or_default()))
    } else {
        sha256_file(path).map(|whole| (whole.clone(), whole))
    };
    let (sha256, tokenizer_sha256) =
        hashes.map_err(|error| vec![format!("cannot read {} ({error})", workspace.show(path))])?;
    let (name, path) = (name.to_owned(), absolute(path));
    let time_steps = TimeSteps::default();
    Ok(ModelInput {
        name,
        path,
        sha256,
        tokenizer_sha256,
        tokenizer: None,
        planned: false,
        time_steps,
    })
}

fn folder_digests(path: &Path) -> io::Result<Digests> {
    names_in(path).and_then(|names| digests(&names, |name| sha256_file(&path.join(name))))
}

/// The hash of the weights of a model, as [`ModelInput::sha256`] has it.
///
/// # Errors
/// What cannot be read.
pub(crate) fn weights_digest(path: &Path) -> io::Result<String> {
    if path.is_dir() {
        return folder_digests(path).map(|own| own.weights);
    }
    sha256_file(path)
}

/// The worker may run elsewhere: it gets whole paths.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever has token ids needs no tokenizer.
    #[test]
    fn a_folder_without_tokenizer_is_enough_where_none_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["config.json", "model.safetensors"] {
            fs::write(folder.path().join(name), "{}").expect("a file");
        }
        let workspace = Workspace::find();
        let problems = |reads| model_problems(&workspace, folder.path(), reads);
        assert_eq!(problems(Reads::Weights), Vec::<String>::new());
        let found = problems(Reads::WeightsAndTokenizer).join("\n");
        assert!(found.contains("tokenizer.json is missing"), "{found}");
        fs::write(folder.path().join("tokenizer.model"), "{}").expect("a file");
        assert_eq!(problems(Reads::WeightsAndTokenizer), Vec::<String>::new());
    }
}
