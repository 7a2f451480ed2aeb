//! Typed access to the metadata of a GGUF file, with an error that names the file and the key.

use super::{
    GgufFile,
    header::{Scalar, Value},
};
use crate::LoadError;

impl GgufFile {
    pub(super) fn bad(&self, key: &str, reason: impl Into<String>) -> LoadError {
        LoadError::Config {
            path: self.file.path().to_owned(),
            field: key.to_owned(),
            reason: reason.into(),
        }
    }

    /// What `convert` makes of a value; `None` where the key is absent.
    pub(super) fn optional<T>(
        &self,
        key: &str,
        expected: &str,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, LoadError> {
        let Some(value) = self.header.metadata.get(key) else { return Ok(None) };
        let converted = convert(value);
        converted.map(Some).ok_or_else(|| self.bad(key, format!("is not {expected}")))
    }

    pub(super) fn required<T>(&self, key: &str, value: Option<T>) -> Result<T, LoadError> {
        value.ok_or_else(|| self.bad(key, "is missing"))
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<String>, LoadError> {
        self.optional(key, "a text", |value| match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        })
    }

    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<String>>, LoadError> {
        self.optional(key, "a list of texts", |value| match value {
            Value::Texts(texts) => Some(texts.clone()),
            _ => None,
        })
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, LoadError> {
        self.optional(key, "true or false", |value| match value {
            Value::Scalar(Scalar::Flag(flag)) => Some(*flag),
            _ => None,
        })
    }

    pub(super) fn real(&self, key: &str) -> Result<Option<f64>, LoadError> {
        self.optional(key, "a finite number", |value| match value {
            Value::Scalar(scalar) => real(*scalar).filter(|real| real.is_finite()),
            _ => None,
        })
    }

    /// A whole number; a list with a number for every layer counts where all of them are the same.
    pub(super) fn count(&self, key: &str) -> Result<Option<usize>, LoadError> {
        self.optional(key, "one whole number that all layers share", |value| match value {
            Value::Scalar(scalar) => count(*scalar),
            Value::Scalars(..) => {
                let counts = scalars(value)?;
                let first = counts.first().copied()?;
                counts.iter().all(|other| *other == first).then(|| count(first))?
            }
            _ => None,
        })
    }
}

/// The numbers of a list.
pub(super) fn scalars(value: &Value) -> Option<Vec<Scalar>> {
    match value {
        Value::Scalars(kind, bytes) => {
            Some(bytes.chunks_exact(kind.size()).map(|word| kind.scalar(word)).collect())
        }
        _ => None,
    }
}

pub(super) fn whole(scalar: Scalar) -> Option<i64> {
    match scalar {
        Scalar::Unsigned(value) => i64::try_from(value).ok(),
        Scalar::Signed(value) => Some(value),
        Scalar::Real(_) | Scalar::Flag(_) => None,
    }
}

fn count(scalar: Scalar) -> Option<usize> {
    usize::try_from(whole(scalar)?).ok()
}

fn real(scalar: Scalar) -> Option<f64> {
    match scalar {
        Scalar::Real(value) => Some(value),
        other => whole(other).map(|whole| whole as f64),
    }
}
