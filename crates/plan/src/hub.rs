//! What is asked of the Hugging Face Hub, and where the answer lies: names, requests, the cache.

use std::env;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::LockedFile;

/// The revision that is meant when none is named: the default branch of every repository.
pub const DEFAULT_REVISION: &str = "main";

/// What a repository holds; the Hub keeps models and texts under different addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RepositoryKind {
    /// Weights and tokenizers.
    Model,
    /// Texts.
    Dataset,
}

impl RepositoryKind {
    /// The word of the Hub's API and of the cache's folders.
    pub fn plural(self) -> &'static str {
        match self {
            RepositoryKind::Model => "models",
            RepositoryKind::Dataset => "datasets",
        }
    }
}

/// A repository by name, perhaps at a revision: `owner/name` or `owner/name@revision`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HubName {
    /// `owner/name`.
    pub repo: String,
    /// A branch, a tag or a commit; none means [`DEFAULT_REVISION`].
    pub revision: Option<String>,
}

impl HubName {
    /// The revision that is asked for.
    pub fn asked(&self) -> &str {
        self.revision.as_deref().unwrap_or(DEFAULT_REVISION)
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repo)?;
        self.revision.as_ref().map_or(Ok(()), |revision| write!(f, "@{revision}"))
    }
}

/// A text that names no repository of the Hub.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no repository of the Hub: expected owner/name or owner/name@revision")]
pub struct HubNameError(pub String);

impl FromStr for HubName {
    type Err = HubNameError;

    fn from_str(text: &str) -> Result<Self, HubNameError> {
        let (repo, revision) = match text.split_once('@') {
            Some((repo, revision)) => (repo, Some(revision)),
            None => (text, None),
        };
        // Both become folders of the cache.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_word =
            |word: &str| !word.is_empty() && !word.starts_with('.') && word.chars().all(plain);
        let is_repo =
            repo.split_once('/').is_some_and(|(owner, name)| is_word(owner) && is_word(name));
        let is_revision = revision.is_none_or(|revision| revision.split('/').all(is_word));
        if !is_repo || !is_revision {
            return Err(HubNameError(text.to_owned()));
        }
        Ok(HubName { repo: repo.to_owned(), revision: revision.map(str::to_owned) })
    }
}

/// Which files of a repository are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum Selection {
    /// Configuration, weights, and the tokenizer where there is one.
    Model,
    /// The tokenizer alone.
    Tokenizer,
    /// One file, by its path: a GGUF file, a text.
    File(String),
}

impl From<String> for Selection {
    fn from(text: String) -> Selection {
        match text.as_str() {
            "model" => Selection::Model,
            "tokenizer" => Selection::Tokenizer,
            _ => Selection::File(text),
        }
    }
}

impl From<Selection> for String {
    fn from(selection: Selection) -> String {
        match selection {
            Selection::Model => "model".to_owned(),
            Selection::Tokenizer => "tokenizer".to_owned(),
            Selection::File(path) => path,
        }
    }
}

/// The folder of everything that Hub clients keep: `HF_HOME`, else `~/.cache/huggingface`
/// (`XDG_CACHE_HOME` in place of `~/.cache`).
pub fn hub_home() -> PathBuf {
    let home = || named("HOME").unwrap_or_else(env::temp_dir);
    let caches = || named("XDG_CACHE_HOME").unwrap_or_else(|| home().join(".cache"));
    named("HF_HOME").unwrap_or_else(|| caches().join("huggingface"))
}

/// A folder or file that the environment names; an empty value names none.
fn named(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The folder in which Hub clients of every language keep what they fetched.
///
/// A repository lies in `models--owner--name` or `datasets--owner--name`: `blobs` holds the files by
/// their ETag, `snapshots/<commit>` holds links to them by their names, `refs/<branch>` the commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubCache(pub PathBuf);

impl HubCache {
    /// The folder that the environment names: `HF_HUB_CACHE`, else `hub` in [`hub_home`].
    pub fn from_environment() -> HubCache {
        let given = named("HF_HUB_CACHE").or_else(|| named("HUGGINGFACE_HUB_CACHE"));
        HubCache(given.unwrap_or_else(|| hub_home().join("hub")))
    }

    /// The folder of a repository.
    pub fn repository(&self, kind: RepositoryKind, repo: &str) -> PathBuf {
        self.0.join(format!("{}--{}", kind.plural(), repo.replace('/', "--")))
    }

    /// The folder of a repository at a commit, where files have their names.
    pub fn snapshot(&self, kind: RepositoryKind, repo: &str, commit: &str) -> PathBuf {
        self.repository(kind, repo).join("snapshots").join(commit)
    }
}

/// What the binary `hub` is asked to fetch; a JSON file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchRequest {
    /// Where the repository is looked for.
    pub kind: RepositoryKind,
    /// `owner/name`.
    pub repo: String,
    /// A branch, a tag or a commit.
    pub revision: String,
    /// Which files are wanted.
    pub wanted: Selection,
    /// The files as a lock file has them; empty where none does. `revision` is then their commit, and
    /// nothing but these bytes is accepted.
    pub locked: Vec<LockedFile>,
    /// Where they are kept.
    pub cache: HubCache,
    /// Whether the network must not be used.
    pub offline: bool,
    /// Names that may have been meant, should this one not exist.
    pub known: Vec<String>,
}

/// What the binary `hub` has fetched, or found in the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchAnswer {
    /// The commit that the revision stands for.
    pub commit: String,
    /// The licence that the repository states.
    pub licence: Option<String>,
    /// The wanted files, by their paths within the snapshot.
    pub files: Vec<LockedFile>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_nonsense_is_refused() {
        let name: HubName = "Qwen/Qwen2.5-0.5B".parse().unwrap();
        assert_eq!((name.repo.as_str(), name.asked()), ("Qwen/Qwen2.5-0.5B", "main"));
        let name: HubName = "EleutherAI/pythia-70m@refs/pr/1".parse().unwrap();
        assert_eq!((name.repo.as_str(), name.asked()), ("EleutherAI/pythia-70m", "refs/pr/1"));
        assert_eq!(name.to_string(), "EleutherAI/pythia-70m@refs/pr/1");
        for bad in ["gpt2", "a/b/c", "a/", "/b", "a/..", "a/b@", "a/b@../x", "a b/c", "a/b@x y"] {
            assert_eq!(bad.parse::<HubName>(), Err(HubNameError(bad.to_owned())));
        }
    }

    #[test]
    fn a_snapshot_lies_where_other_clients_look_for_it() {
        let cache = HubCache(PathBuf::from("/c"));
        let folder = cache.snapshot(RepositoryKind::Dataset, "Salesforce/wikitext", "abc");
        assert_eq!(folder, PathBuf::from("/c/datasets--Salesforce--wikitext/snapshots/abc"));
    }
}
