//! Models and texts of the Hub as inputs of a grid: found in the cache through the lock files.

use std::convert::Infallible;
use std::path::PathBuf;

use plan::datasets::HubText;
use plan::{
    DEFAULT_REVISION, DataLock, HubCache, HubModel, HubName, LockedRepository, ModelInput,
    ModelsLock, RepositoryKind, Selection, TextInput, TimeSteps,
};

use crate::hashing::{Digests, digests};
use crate::inputs::absolute;
use crate::snapshot::{Problem, verify};
use crate::workspace::Workspace;

/// Finds and checks a model of the Hub.
///
/// # Errors
/// Everything that is missing or wrong, with the command that fetches it.
pub(crate) fn find_model(
    workspace: &Workspace,
    name: &str,
    model: &HubModel,
    lock: &ModelsLock,
) -> Result<ModelInput, Vec<String>> {
    let fetch = model.fetch_command();
    let part = model.file.clone().map_or(Selection::Model, Selection::File);
    let entry = locked(lock, &model.name, &[part], &fetch).map_err(|problem| vec![problem])?;
    let mut problems = problems_of(workspace, entry, &fetch);
    // Whoever has the whole model has its tokenizer.
    let parts = [Selection::Tokenizer, Selection::Model];
    let of_tokenizer = model.tokenizer.as_ref().map(|name| locked(lock, name, &parts, &fetch));
    let of_tokenizer = of_tokenizer.transpose().unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    problems.extend(of_tokenizer.iter().flat_map(|entry| problems_of(workspace, entry, &fetch)));
    if !problems.is_empty() {
        return Err(problems);
    }
    let folder = snapshot(RepositoryKind::Model, entry);
    let (path, sha256) = match &model.file {
        None => (folder, digests_of(entry).weights),
        Some(file) => (folder.join(file), sha256_of(entry, file)),
    };
    let tokenizer_sha256 = match (of_tokenizer, &model.file) {
        // A GGUF file holds its own.
        (None, Some(_)) => Some(sha256.clone()),
        (of_tokenizer, _) => digests_of(of_tokenizer.unwrap_or(entry)).tokenizer,
    };
    let tokenizer_sha256 = tokenizer_sha256.ok_or_else(|| {
        let repo = &entry.repo;
        vec![format!("{repo} has no tokenizer: name a repository that has it as `tokenizer`")]
    })?;
    let tokenizer = of_tokenizer.map(|entry| snapshot(RepositoryKind::Model, entry));
    Ok(ModelInput {
        name: name.to_owned(),
        path,
        sha256,
        tokenizer_sha256,
        tokenizer,
        planned: false,
        time_steps: TimeSteps::default(),
    })
}

/// Finds and checks a text of the Hub; none where it was never fetched.
///
/// # Errors
/// What is missing or wrong of a text that was fetched, with the command that fetches it.
pub(crate) fn find_text(
    workspace: &Workspace,
    name: &str,
    text: &HubText,
    lock: &DataLock,
) -> Option<Result<TextInput, String>> {
    let entry = lock.find_file(text.repo, DEFAULT_REVISION, text.path)?;
    let folder = snapshot(RepositoryKind::Dataset, entry);
    let problems = verify(workspace, &folder, &entry.files);
    if let Some(problem) = told(problems, &fetch_text_command(name)).pop() {
        return Some(Err(problem));
    }
    let (path, sha256) = (folder.join(text.path), sha256_of(entry, text.path));
    Some(Ok(TextInput { name: name.to_owned(), path, sha256, reading: text.reading }))
}

/// The command that fetches a text.
pub(crate) fn fetch_text_command(name: &str) -> String {
    format!("cargo xtask fetch --dataset {name}")
}

fn locked<'a>(
    lock: &'a ModelsLock,
    name: &HubName,
    parts: &[Selection],
    fetch: &str,
) -> Result<&'a LockedRepository, String> {
    let entry = parts.iter().find_map(|part| lock.find_part(&name.repo, name.asked(), part));
    entry.ok_or_else(|| format!("{name} is not in data/models.lock: run `{fetch}`"))
}

fn snapshot(kind: RepositoryKind, entry: &LockedRepository) -> PathBuf {
    absolute(&HubCache::from_environment().snapshot(kind, &entry.repo, &entry.revision))
}

fn problems_of(workspace: &Workspace, entry: &LockedRepository, fetch: &str) -> Vec<String> {
    told(verify(workspace, &snapshot(RepositoryKind::Model, entry), &entry.files), fetch)
}

/// Problems with what to do about them.
fn told(problems: Vec<Problem>, fetch: &str) -> Vec<String> {
    let told = |problem: Problem| match problem {
        Problem::Missing(_) => format!("{problem}: run `{fetch}`"),
        Problem::Wrong(_) => format!("{problem}: delete it and run `{fetch}`"),
    };
    problems.into_iter().map(told).collect()
}

/// The digests of the folder, from the lock's hashes, which have been compared with the files.
fn digests_of(entry: &LockedRepository) -> Digests {
    let names: Vec<String> = entry.files.iter().map(|file| file.path.clone()).collect();
    let Ok(digests) = digests(&names, |name| Ok::<_, Infallible>(sha256_of(entry, name)));
    digests
}

fn sha256_of(entry: &LockedRepository, path: &str) -> String {
    entry.file(path).map(|file| file.sha256.clone()).unwrap_or_default()
}
