//! The lock files `data/data.lock` and `data/models.lock`: which bytes a name stands for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Selection;

/// `data/data.lock`: every known text with its hash.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataLock {
    /// One entry a text of the data folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<LockedText>,
    /// One entry a file that was fetched from the Hub.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repository: Vec<LockedRepository>,
}

/// A text of the data folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedText {
    /// The name used in pipelines.
    pub name: String,
    /// Path relative to the data folder.
    pub file: String,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
    /// Size of the file in bytes.
    pub bytes: u64,
}

/// `data/models.lock`: every model that `fetch` can get, with its hash.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelsLock {
    /// One entry a model of the cache folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub model: Vec<LockedModel>,
    /// One entry a model or tokenizer that was fetched from the Hub.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repository: Vec<LockedRepository>,
}

/// A model of the cache folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedModel {
    /// The name used in pipelines.
    pub name: String,
    /// Path relative to the cache folder (`data/cache`).
    pub file: String,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Where the file comes from, for people.
    pub source: String,
    /// SPDX name of the licence.
    pub licence: String,
}

/// Files of a Hub repository at one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedRepository {
    /// `owner/name`.
    pub repo: String,
    /// Which of its files these are.
    pub part: Selection,
    /// The revision that was asked for: a branch, a tag or a commit.
    pub asked: String,
    /// The commit that it stood for when it was fetched first. It stands for it ever after.
    pub revision: String,
    /// The licence that the repository states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// The files, sorted by path.
    pub files: Vec<LockedFile>,
}

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedFile {
    /// Path within the repository, and within the cache's snapshot folder.
    pub path: String,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
    /// Size of the file in bytes.
    pub bytes: u64,
}

impl LockedRepository {
    /// The file of this path.
    pub fn file(&self, path: &str) -> Option<&LockedFile> {
        self.files.iter().find(|file| file.path == path)
    }

    fn key(&self) -> String {
        let part = String::from(self.part.clone());
        format!("{}@{}, {part}", self.repo, self.asked)
    }
}

/// The entry for a part of a repository at a revision, be it named as it was asked for or by its
/// commit.
pub fn find_repository<'a>(
    entries: &'a [LockedRepository],
    repo: &str,
    asked: &str,
    part: &Selection,
) -> Option<&'a LockedRepository> {
    let is_meant = |entry: &&LockedRepository| entry.repo == repo && entry.part == *part;
    let mut entries = entries.iter().filter(is_meant);
    entries.find(|entry| entry.asked == asked || entry.revision == asked)
}

/// A lock file that cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LockError {
    /// Not TOML, or not of this shape.
    #[error("not a lock file of the expected shape")]
    Toml(#[from] toml::de::Error),
    /// Two entries with one name.
    #[error("`{0}` is listed twice: keep one entry")]
    Duplicate(String),
    /// A digest that cannot be one.
    #[error("the sha256 of `{0}` is not 64 lower-case hex digits")]
    Digest(String),
}

/// Every name once, every digest one.
fn check(
    entries: impl Iterator<Item = (String, String)>,
    repositories: &[LockedRepository],
) -> Result<(), LockError> {
    let mut seen = BTreeSet::new();
    for (name, sha256) in entries {
        check_digest(&name, &sha256)?;
        if !seen.insert(name.clone()) {
            return Err(LockError::Duplicate(name));
        }
    }
    for repository in repositories {
        for file in &repository.files {
            check_digest(&format!("{}/{}", repository.repo, file.path), &file.sha256)?;
        }
        if !seen.insert(repository.key()) {
            return Err(LockError::Duplicate(repository.key()));
        }
    }
    Ok(())
}

fn check_digest(name: &str, sha256: &str) -> Result<(), LockError> {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if sha256.len() == 64 && sha256.bytes().all(is_hex) {
        return Ok(());
    }
    Err(LockError::Digest(name.to_owned()))
}

impl DataLock {
    /// Reads the text of `data/data.lock`.
    ///
    /// # Errors
    /// [`LockError`] when it is not TOML of this shape, or an entry is repeated or has no digest.
    pub fn parse(text: &str) -> Result<DataLock, LockError> {
        let lock: DataLock = toml::from_str(text)?;
        check(lock.text.iter().map(|t| (t.name.clone(), t.sha256.clone())), &lock.repository)?;
        Ok(lock)
    }

    /// The entry of this name.
    pub fn find(&self, name: &str) -> Option<&LockedText> {
        self.text.iter().find(|text| text.name == name)
    }

    /// The entry of a file of the Hub at a revision.
    pub fn find_file(&self, repo: &str, asked: &str, path: &str) -> Option<&LockedRepository> {
        find_repository(&self.repository, repo, asked, &Selection::File(path.to_owned()))
    }

    /// The text that [`DataLock::parse`] reads back.
    ///
    /// # Errors
    /// When the entries cannot be written as TOML, e.g. a size beyond its integers.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }
}

impl ModelsLock {
    /// Reads the text of `data/models.lock`.
    ///
    /// # Errors
    /// [`LockError`] when it is not TOML of this shape, or an entry is repeated or has no digest.
    pub fn parse(text: &str) -> Result<ModelsLock, LockError> {
        let lock: ModelsLock = toml::from_str(text)?;
        check(lock.model.iter().map(|m| (m.name.clone(), m.sha256.clone())), &lock.repository)?;
        Ok(lock)
    }

    /// The entry of this name.
    pub fn find(&self, name: &str) -> Option<&LockedModel> {
        self.model.iter().find(|model| model.name == name)
    }

    /// The entry of a part of a repository of the Hub at a revision.
    pub fn find_part(
        &self,
        repo: &str,
        asked: &str,
        part: &Selection,
    ) -> Option<&LockedRepository> {
        find_repository(&self.repository, repo, asked, part)
    }

    /// The text that [`ModelsLock::parse`] reads back.
    ///
    /// # Errors
    /// When the entries cannot be written as TOML, e.g. a size beyond its integers.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// The names of all models, in the order of the file.
    pub fn names(&self) -> Vec<String> {
        self.model.iter().map(|model| model.name.clone()).collect()
    }
}
