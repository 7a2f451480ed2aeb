//! The lock files `data/data.lock` and `data/models.lock`: which bytes a name stands for.

use serde::{Deserialize, Serialize};

/// `data/data.lock`: every known text with its hash.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataLock {
    /// One entry a text.
    #[serde(default)]
    pub text: Vec<LockedText>,
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
    /// One entry a model.
    #[serde(default)]
    pub model: Vec<LockedModel>,
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

fn check<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), LockError> {
    let mut seen = std::collections::BTreeSet::new();
    for (name, sha256) in entries {
        if !seen.insert(name) {
            return Err(LockError::Duplicate(name.to_owned()));
        }
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if sha256.len() != 64 || !sha256.bytes().all(is_hex) {
            return Err(LockError::Digest(name.to_owned()));
        }
    }
    Ok(())
}

impl DataLock {
    /// Reads the text of `data/data.lock`.
    ///
    /// # Errors
    /// [`LockError`] when it is not TOML of this shape, or an entry is repeated or has no digest.
    pub fn parse(text: &str) -> Result<DataLock, LockError> {
        let lock: DataLock = toml::from_str(text)?;
        check(lock.text.iter().map(|t| (t.name.as_str(), t.sha256.as_str())))?;
        Ok(lock)
    }

    /// The entry of this name.
    pub fn find(&self, name: &str) -> Option<&LockedText> {
        self.text.iter().find(|text| text.name == name)
    }
}

impl ModelsLock {
    /// Reads the text of `data/models.lock`.
    ///
    /// # Errors
    /// [`LockError`] when it is not TOML of this shape, or an entry is repeated or has no digest.
    pub fn parse(text: &str) -> Result<ModelsLock, LockError> {
        let lock: ModelsLock = toml::from_str(text)?;
        check(lock.model.iter().map(|m| (m.name.as_str(), m.sha256.as_str())))?;
        Ok(lock)
    }

    /// The entry of this name.
    pub fn find(&self, name: &str) -> Option<&LockedModel> {
        self.model.iter().find(|model| model.name == name)
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
