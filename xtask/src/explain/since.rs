//! What changed in the source since a cell was computed.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::code_version::{code_version, computing_paths, revision};
use crate::workspace::Workspace;

/// Commits that are listed.
const LISTED: usize = 10;

/// Code then and now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Since {
    pub(crate) code_version_then: String,
    pub(crate) code_version_now: String,
    pub(crate) revision_then: String,
    pub(crate) revision_now: String,
    /// None where git or the revision is not there.
    pub(crate) commits: Option<Commits>,
    /// Files of the computing crates with changes that are in no commit.
    pub(crate) uncommitted: Vec<String>,
}

/// Commits since then that touched what computes numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commits {
    pub(crate) n: usize,
    /// The newest, one line each.
    pub(crate) newest: Vec<String>,
}

impl Since {
    /// # Errors
    /// When the present source cannot be read.
    pub(crate) fn of(workspace: &Workspace, code_then: &str, revision_then: &str) -> Result<Since> {
        let root = workspace.root();
        Ok(Since {
            code_version_then: code_then.to_owned(),
            code_version_now: code_version(root)?,
            revision_then: revision_then.to_owned(),
            revision_now: revision(root),
            commits: commits(root, revision_then),
            uncommitted: uncommitted(root),
        })
    }

    pub(crate) fn has_same_code(&self) -> bool {
        self.code_version_then == self.code_version_now
    }

    /// Whether the source of then had changes that are in no commit.
    pub(crate) fn was_dirty(&self) -> bool {
        self.revision_then.ends_with(DIRTY)
    }
}

/// What `git describe` puts behind a revision whose files have been changed.
const DIRTY: &str = "-dirty";

fn commits(root: &Path, revision: &str) -> Option<Commits> {
    let revision = revision.strip_suffix(DIRTY).unwrap_or(revision);
    if revision.is_empty() || revision == "unknown" || revision.starts_with('-') {
        return None;
    }
    let range = format!("{revision}..HEAD");
    let lines = git(root, &["log", "--oneline", "--no-decorate", &range])?;
    Some(Commits { n: lines.len(), newest: lines.into_iter().take(LISTED).collect() })
}

fn uncommitted(root: &Path) -> Vec<String> {
    git(root, &["diff", "--name-only", "HEAD"]).unwrap_or_default()
}

/// The lines that git prints, of what computes numbers only; none where git cannot say.
fn git(root: &Path, arguments: &[&str]) -> Option<Vec<String>> {
    let output = Command::new("git")
        .args(arguments)
        .arg("--")
        .args(computing_paths())
        .current_dir(root)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then(|| text.lines().map(str::to_owned).collect())
}
