//! The version of the code that computes numbers, and the revision of the whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::hashing::hex;

/// Crates whose source can change a number.
const COMPUTING: &[&str] = &[
    "checkpoints",
    "corpora",
    "cuts",
    "evaluation",
    "importance",
    "models",
    "skips",
    "sparse",
    "vector",
    "worker",
];

/// The definitions of the tasks of this project.
const TASKS: &str = "crates/corpora/tasks";

/// Crates whose source cannot.
#[cfg(test)]
const OTHERS: &[&str] = &[
    "evidence",
    "export",
    "files",
    "hub",
    "judgement",
    "plan",
    "report",
    "runs",
    "statistics",
    "stories",
    "tables",
    "testing",
    "training",
    "unify",
];

/// The first 16 hex digits of the SHA-256 over the sources of the computing crates (path and
/// content of every file, sorted), the worker's dependencies and `Cargo.lock`.
///
/// It is part of every cell's id: after a change of this code the cells are computed again.
pub(crate) fn code_version(root: &Path) -> Result<String> {
    let mut files = vec![root.join("Cargo.lock"), root.join("crates/worker/Cargo.toml")];
    for name in COMPUTING {
        // A crate that is not there computes nothing.
        let folder = root.join("crates").join(name).join("src");
        if folder.is_dir() {
            list(&folder, &mut files)?;
        }
    }
    // What defines tasks is compiled into `corpora`.
    let tasks = root.join(TASKS);
    if tasks.is_dir() {
        list(&tasks, &mut files)?;
    }
    files.sort();
    let mut hasher = Sha256::new();
    for path in files {
        let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
        hasher.update(format!("{name} {}\n", content.len()));
        hasher.update(&content);
    }
    Ok(hex(&hasher.finalize())[..16].to_owned())
}

/// The files and folders that [`code_version`] is made of, relative to the workspace, as git takes them.
pub(crate) fn computing_paths() -> Vec<String> {
    let sources = COMPUTING.iter().map(|name| format!("crates/{name}/src"));
    let others = [TASKS, "crates/worker/Cargo.toml", "Cargo.lock"].map(str::to_owned);
    sources.chain(others).collect()
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {}", folder.display()))?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// `git describe --always --dirty`, or `unknown` without git or without a commit.
pub(crate) fn revision(root: &Path) -> String {
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .current_dir(root)
        .stderr(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::workspace::Workspace;

    /// A new crate must be put on one of the lists, or its changes would go unnoticed.
    #[test]
    fn every_crate_is_on_a_list() {
        let crates = fs::read_dir(Workspace::find().root().join("crates")).unwrap();
        let found: BTreeSet<String> = crates
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().join("Cargo.toml").exists())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        let listed: BTreeSet<String> =
            COMPUTING.iter().chain(OTHERS).map(|&name| name.to_owned()).collect();
        assert_eq!(found, listed);
    }

    #[test]
    fn content_names_and_places_of_files_enter() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |name: &str, text: &str| {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("Cargo.lock", "lock");
        write("crates/worker/Cargo.toml", "worker");
        write("crates/models/src/lib.rs", "one");
        let first = code_version(root).unwrap();
        assert_eq!(first.len(), 16);
        write("crates/plan/src/lib.rs", "does not matter");
        assert_eq!(code_version(root).unwrap(), first);
        write("crates/models/src/deep/er.rs", "");
        let second = code_version(root).unwrap();
        assert_ne!(second, first);
        write("crates/models/src/lib.rs", "two");
        assert_ne!(code_version(root).unwrap(), second);
    }
}
