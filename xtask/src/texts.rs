//! Texts as inputs: files of a pipeline, and the texts and items of tasks that are known by name; and the
//! files that define a user's own tasks.
//!
//! A known text is looked for in the data folder (`SLIM_DATA`, else `data/texts`; items in `SLIM_TASKS`,
//! else `data/tasks`), where it may lie as this project cuts it or as the Hub has it, then in the Hub's
//! cache. Each form has its hash in `data/data.lock`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use plan::datasets::{self, KnownDataset};
use plan::{
    DEFAULT_REVISION, DataLock, HubCache, LockedRepository, Reading, RepositoryKind, TaskInput,
    TaskSource, TextInput, TextShape, TextSource,
};

use crate::exit::Exit;
use crate::hashing::sha256_file;
use crate::inputs::{absolute, check_locked};
use crate::snapshot::{Problem, verify_file};
use crate::workspace::Workspace;

/// Finds and hashes a text of a pipeline.
///
/// # Errors
/// What is missing or wrong, and what to do.
pub(crate) fn find(
    workspace: &Workspace,
    text: &TextSource,
    pipeline_folder: &Path,
    lock: &DataLock,
) -> Result<TextInput, String> {
    let TextSource { name, path, reading } = text;
    let say = |problem: String| format!("text `{name}`: {problem}");
    let Some(path) = path else { return find_known(workspace, name, lock).map_err(say) };
    let path = pipeline_folder.join(path);
    let sha256 = sha256_file(&path)
        .map_err(|error| say(format!("cannot read {} ({error})", workspace.show(&path))))?;
    Ok(TextInput { name: name.clone(), path: absolute(&path), sha256, reading: *reading })
}

/// Finds and hashes a text that is given by hand: a file, or the name of a known text where there is no such
/// file.
///
/// # Errors
/// What is missing or wrong, and what to do.
pub(crate) fn given(
    workspace: &Workspace,
    given: &Path,
    shape: Option<TextShape>,
) -> Result<TextInput> {
    let name = given.to_str().filter(|name| datasets::find(name).is_some() && !given.exists());
    if let Some(name) = name {
        let found = find_known(workspace, name, &workspace.data_lock()?);
        return found.map_err(|problem| Exit::inputs(format!("text `{name}`: {problem}")).into());
    }
    let is_parquet = given.extension().is_some_and(|ending| ending == "parquet");
    if is_parquet && shape.is_none() {
        let message = "a .parquet text needs --shape rows or --shape documents";
        return Err(Exit::usage(message).into());
    }
    let shown = workspace.show(given);
    if !given.is_file() {
        let known = datasets::examples().collect::<Vec<_>>().join(", ");
        let message = format!("--calibrate: {shown} is no file, nor a known text ({known})");
        return Err(Exit::inputs(message).into());
    }
    let sha256 = sha256_file(given).with_context(|| format!("cannot read {shown}"))?;
    let reading = Reading { shape: shape.filter(|_| is_parquet), documents: None };
    let name = given.display().to_string();
    Ok(TextInput { name, path: absolute(given), sha256, reading })
}

/// Finds and hashes the definition of a task of a user's own.
///
/// # Errors
/// What is missing, and what to do.
pub(crate) fn find_task(
    workspace: &Workspace,
    task: &TaskSource,
    pipeline_folder: &Path,
) -> Result<TaskInput, String> {
    let path = pipeline_folder.join(&task.path);
    let sha256 = sha256_file(&path).map_err(|error| {
        format!("task `{}`: cannot read {} ({error})", task.name, workspace.show(&path))
    })?;
    Ok(TaskInput { name: task.name, path: absolute(&path), sha256 })
}

/// Finds and hashes a text that is known by name.
///
/// # Errors
/// What is missing or wrong, and what to do.
pub(crate) fn find_known(
    workspace: &Workspace,
    name: &str,
    lock: &DataLock,
) -> Result<TextInput, String> {
    let known = datasets::find(name).ok_or("it is no known text")?;
    let path = workspace.data_of(&known).join(known.file);
    if path.exists() {
        let entry = lock.find(name).ok_or_else(|| {
            let file = workspace.show(&path);
            format!("{file} is not in data/data.lock: give it as `path` under another name")
        })?;
        check_locked(workspace, &path, &entry.sha256, entry.bytes, "data/data.lock")
            .map_err(|problem| format!("{problem}: copy the file again"))?;
        let (path, sha256) = (absolute(&path), entry.sha256.clone());
        return Ok(TextInput { name: name.to_owned(), path, sha256, reading: Reading::default() });
    }
    let fetch = format!("cargo xtask fetch --dataset {name}");
    let Some(entry) = entry(lock, &known) else {
        let (shown, file) = (workspace.show(&path), known.file);
        let variable = if known.task.is_some() { "SLIM_TASKS" } else { "SLIM_DATA" };
        return Err(format!(
            "{shown} is missing: run `{fetch}`, or set {variable} to the folder that holds {file}"
        ));
    };
    of_hub(workspace, &known, entry).map_err(|problem| match problem {
        Problem::Missing(_) => format!("{problem}: run `{fetch}`"),
        Problem::Wrong(_) => format!("{problem}: delete it and run `{fetch}`"),
    })
}

/// Puts a text that was fetched into `data/texts`, items into `data/tasks`; a folder that `SLIM_DATA` or
/// `SLIM_TASKS` names is someone's own and stays as it is.
///
/// # Errors
/// The file cannot be put there, or there is another one.
pub(crate) fn place(workspace: &Workspace, known: &KnownDataset) -> Result<()> {
    if let Some(variable) = workspace.own_data_of(known) {
        eprintln!("{variable} is set: {} stays in the Hub's cache, where it is found", known.name);
        return Ok(());
    }
    let lock = workspace.data_lock()?;
    let entry = entry(&lock, known).context("the lock file lacks what was fetched")?;
    let file = entry.file(known.hub.path).context("the lock file lacks the file")?;
    let target = placed(workspace, known);
    match verify_file(workspace, &target, file) {
        Ok(()) => return Ok(()),
        Err(Problem::Missing(_)) => {}
        Err(wrong) => {
            let message = format!("{wrong}: delete it and run the same command again");
            return Err(Exit::inputs(message).into());
        }
    }
    let cannot = || format!("cannot put the text into {}", target.display());
    let folder = target.parent().context("a file lies in a folder")?;
    std::fs::create_dir_all(folder).with_context(cannot)?;
    // The name in the cache is a link to the file.
    let source = cached(known, entry).canonicalize().with_context(cannot)?;
    if std::fs::hard_link(&source, &target).is_err() {
        // Another file system. The file has its name when all of it is there.
        let copy = tempfile::NamedTempFile::new_in(folder).with_context(cannot)?;
        std::fs::copy(&source, copy.path()).with_context(cannot)?;
        copy.persist(&target).with_context(cannot)?;
    }
    eprintln!("{}: read by the name {}", workspace.show(&target), known.name);
    Ok(())
}

/// The lock's entry of a text of the Hub.
fn entry<'a>(lock: &'a DataLock, known: &KnownDataset) -> Option<&'a LockedRepository> {
    lock.find_file(known.hub.repo, DEFAULT_REVISION, known.hub.path)
}

/// A text as the Hub has it: of the data folder, else of the Hub's cache.
fn of_hub(
    workspace: &Workspace,
    known: &KnownDataset,
    entry: &LockedRepository,
) -> Result<TextInput, Problem> {
    let path = Some(placed(workspace, known)).filter(|path| path.exists());
    let path = path.unwrap_or_else(|| cached(known, entry));
    let file = entry.file(known.hub.path);
    let file = file.ok_or_else(|| Problem::Missing(workspace.show(&path)))?;
    verify_file(workspace, &path, file)?;
    Ok(TextInput {
        name: known.name.to_owned(),
        path: absolute(&path),
        sha256: file.sha256.clone(),
        reading: known.hub.reading,
    })
}

/// Where the Hub's file of a text lies in the data folder.
fn placed(workspace: &Workspace, known: &KnownDataset) -> PathBuf {
    let file = known.hub.path.rsplit('/').next().unwrap_or(known.hub.path);
    workspace.data_of(known).join(known.name).join(file)
}

/// Where the Hub's file of a text lies in the Hub's cache.
fn cached(known: &KnownDataset, entry: &LockedRepository) -> PathBuf {
    let cache = HubCache::from_environment();
    let folder = cache.snapshot(RepositoryKind::Dataset, &entry.repo, &entry.revision);
    absolute(&folder).join(known.hub.path)
}
