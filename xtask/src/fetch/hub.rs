//! Models, tokenizers and texts of the Hub: what the lock file knows is checked, what is missing is
//! asked of the binary `hub`.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use plan::exit::{DONE, STOPPED};
use plan::{
    DataLock, FetchAnswer, FetchRequest, HubCache, HubName, LockedRepository, ModelsLock,
    RepositoryKind, Selection, datasets,
};

use super::lock::append;
use crate::build;
use crate::exit::Exit;
use crate::snapshot::{Problem, verify};
use crate::workspace::Workspace;

/// Repositories of the study, for whoever mistypes one.
const STUDY: &[&str] = &[
    "Qwen/Qwen2.5-0.5B",
    "Qwen/Qwen2.5-1.5B",
    "facebook/opt-125m",
    "facebook/opt-350m",
    "facebook/opt-1.3b",
    "facebook/opt-2.7b",
    "facebook/opt-6.7b",
    "Zyphra/Zamba2-1.2B",
    "state-spaces/mamba2-130m",
    "state-spaces/mamba2-370m",
    "state-spaces/mamba2-780m",
    "state-spaces/mamba2-1.3b",
    "state-spaces/mamba2-2.7b",
    "EleutherAI/gpt-neox-20b",
    "openai-community/gpt2",
];

/// Fetches a part of a repository, or finds it in the cache; the value is the exit code.
pub(super) fn fetch(
    workspace: &Workspace,
    kind: RepositoryKind,
    name: &HubName,
    part: &Selection,
    is_offline: bool,
) -> Result<i32> {
    let cache = HubCache::from_environment();
    let lock = Lock::read(workspace, kind)?;
    let entry = lock.find(name, part);
    if let Some(entry) = entry {
        let folder = cache.snapshot(kind, &entry.repo, &entry.revision);
        let problems = verify(workspace, &folder, &entry.files);
        let wrong = problems.iter().find_map(|problem| match problem {
            Problem::Wrong(what) => Some(what),
            Problem::Missing(_) => None,
        });
        if let Some(what) = wrong {
            let advice = "delete it and run the same command again";
            return Err(Exit::inputs(format!("{what}: {advice}")).into());
        }
        if problems.is_empty() {
            let n_files = count(entry.files.len());
            eprintln!("{}: {n_files} there already, with the right sha256", folder.display());
            return Ok(DONE);
        }
        if is_offline {
            let missing: Vec<String> = problems.iter().map(ToString::to_string).collect();
            let message = format!("{}; offline nothing is fetched", missing.join(", "));
            return Err(Exit::inputs(message).into());
        }
    }
    let request = FetchRequest {
        kind,
        repo: name.repo.clone(),
        revision: entry.map_or(name.asked(), |entry| entry.revision.as_str()).to_owned(),
        wanted: part.clone(),
        locked: entry.map(|entry| entry.files.clone()).unwrap_or_default(),
        cache,
        offline: is_offline,
        known: lock.repositories(),
    };
    let answer = match ask(workspace, &request)? {
        Ok(answer) => answer,
        Err(code) => return Ok(code),
    };
    let folder = request.cache.snapshot(kind, &name.repo, &answer.commit);
    let bytes: u64 = answer.files.iter().map(|file| file.bytes).sum();
    eprintln!("{}: {}, {bytes} bytes", folder.display(), count(answer.files.len()));
    if *part == Selection::Model && !has_tokenizer(&answer) {
        eprintln!("note: it has no tokenizer: name a repository that has it with --tokenizer");
    }
    if entry.is_none() {
        lock.add(workspace, name, part, answer)?;
    }
    Ok(DONE)
}

fn count(n_files: usize) -> String {
    format!("{n_files} file{}", if n_files == 1 { "" } else { "s" })
}

fn has_tokenizer(answer: &FetchAnswer) -> bool {
    let names: Vec<String> = answer.files.iter().map(|file| file.path.clone()).collect();
    !crate::hashing::tokenizer_names(&names).is_empty()
}

/// Runs `hub`; the inner error is its exit code, explained by itself on standard error.
fn ask(workspace: &Workspace, request: &FetchRequest) -> Result<Result<FetchAnswer, i32>> {
    let program = build::hub(workspace)?;
    let mut file = tempfile::NamedTempFile::new().context("cannot write a temporary file")?;
    let text = serde_json::to_string(request).context("cannot encode the request")?;
    file.write_all(text.as_bytes()).context("cannot write a temporary file")?;
    let output = Command::new(&program)
        .arg("--request")
        .arg(file.path())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    match output.status.code() {
        Some(DONE) => {}
        Some(code) => return Ok(Err(code)),
        // Killed: what is there of a file stays, and the same command goes on.
        None => return Ok(Err(STOPPED)),
    }
    let answer = serde_json::from_slice(&output.stdout).context("the answer of `hub` is none")?;
    Ok(Ok(answer))
}

/// The lock file for one kind of repository.
enum Lock {
    Models(ModelsLock),
    Data(DataLock),
}

impl Lock {
    fn read(workspace: &Workspace, kind: RepositoryKind) -> Result<Lock> {
        Ok(match kind {
            RepositoryKind::Model => Lock::Models(workspace.models_lock()?),
            RepositoryKind::Dataset => Lock::Data(workspace.data_lock()?),
        })
    }

    fn entries(&self) -> &[LockedRepository] {
        match self {
            Lock::Models(lock) => &lock.repository,
            Lock::Data(lock) => &lock.repository,
        }
    }

    fn find(&self, name: &HubName, part: &Selection) -> Option<&LockedRepository> {
        plan::find_repository(self.entries(), &name.repo, name.asked(), part)
    }

    /// Names of repositories that may have been meant.
    fn repositories(&self) -> Vec<String> {
        let locked = self.entries().iter().map(|entry| entry.repo.as_str());
        let known: Vec<&str> = match self {
            Lock::Models(_) => STUDY.to_vec(),
            Lock::Data(_) => datasets::all().map(|known| known.hub.repo).collect(),
        };
        locked.chain(known).map(str::to_owned).collect()
    }

    fn add(
        &self,
        workspace: &Workspace,
        name: &HubName,
        part: &Selection,
        answer: FetchAnswer,
    ) -> Result<()> {
        let FetchAnswer { commit, licence, files } = answer;
        let entry = LockedRepository {
            repo: name.repo.clone(),
            part: part.clone(),
            asked: name.asked().to_owned(),
            revision: commit,
            licence,
            files,
        };
        let repository = vec![entry];
        let (path, entries) = match self {
            Lock::Models(_) => {
                let added = ModelsLock { repository, ..ModelsLock::default() };
                (workspace.models_lock_path(), added.to_toml()?)
            }
            Lock::Data(_) => {
                let added = DataLock { repository, ..DataLock::default() };
                (workspace.data_lock_path(), added.to_toml()?)
            }
        };
        append(workspace, &path, &entries)
    }
}
