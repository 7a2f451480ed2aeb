//! `config.json` of the Hugging Face format: field by field, with a message for each.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::LoadError;

/// Values of `architectures` that are loaded.
pub(crate) const KNOWN: [&str; 2] = ["LlamaForCausalLM", "OPTForCausalLM"];

/// A parsed `config.json`.
pub(crate) struct HubConfig {
    path: PathBuf,
    fields: Map<String, Value>,
}

impl HubConfig {
    pub(crate) fn read(path: &Path) -> Result<Self, LoadError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
        let fields = serde_json::from_str(&text).map_err(|e| LoadError::Damaged {
            path: path.to_owned(),
            reason: format!("it is not a JSON object: {e}"),
        })?;
        Ok(Self { path: path.to_owned(), fields })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The one architecture it names.
    pub(crate) fn architecture(&self) -> Result<String, LoadError> {
        let name = self.fields.get("architectures").and_then(|v| v.get(0)).and_then(Value::as_str);
        name.map(str::to_owned).ok_or_else(|| self.bad("architectures", "is missing or empty"))
    }

    pub(crate) fn bad(&self, field: &str, reason: impl Into<String>) -> LoadError {
        LoadError::Config {
            path: self.path.clone(),
            field: field.to_owned(),
            reason: reason.into(),
        }
    }

    fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|v| !v.is_null())
    }

    /// A positive whole number.
    pub(crate) fn count(&self, field: &str) -> Result<usize, LoadError> {
        let value = self.get(field).ok_or_else(|| self.bad(field, "is missing"))?;
        let count = value.as_u64().and_then(|v| usize::try_from(v).ok()).filter(|v| *v > 0);
        count.ok_or_else(|| self.bad(field, format!("is {value}, expected a positive integer")))
    }

    /// The same, or `default` where the field is absent.
    pub(crate) fn count_or(&self, field: &str, default: usize) -> Result<usize, LoadError> {
        if self.get(field).is_some() { self.count(field) } else { Ok(default) }
    }

    pub(crate) fn real_or(&self, field: &str, default: f64) -> Result<f64, LoadError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        value.as_f64().ok_or_else(|| self.bad(field, format!("is {value}, expected a number")))
    }

    pub(crate) fn flag_or(&self, field: &str, default: bool) -> Result<bool, LoadError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        value
            .as_bool()
            .ok_or_else(|| self.bad(field, format!("is {value}, expected true or false")))
    }

    /// Refuses any value but `expected`.
    pub(crate) fn require_flag(
        &self,
        field: &str,
        default: bool,
        expected: bool,
    ) -> Result<(), LoadError> {
        if self.flag_or(field, default)? == expected {
            return Ok(());
        }
        Err(self.bad(field, format!("only {expected} is supported")))
    }

    pub(crate) fn text_or(&self, field: &str, default: &str) -> Result<String, LoadError> {
        let Some(value) = self.get(field) else { return Ok(default.to_owned()) };
        let text = value.as_str().map(str::to_owned);
        text.ok_or_else(|| self.bad(field, format!("is {value}, expected a text")))
    }

    /// `rope_theta`, where older files and newer ones (`rope_parameters`) keep it; scaled rotary
    /// positions are refused.
    pub(crate) fn rope_theta(&self, default: f64) -> Result<f64, LoadError> {
        let nested = self.get("rope_parameters").or_else(|| self.get("rope_scaling"));
        if let Some(parameters) = nested {
            let kind = parameters.get("rope_type").or_else(|| parameters.get("type"));
            if let Some(kind) = kind.and_then(Value::as_str).filter(|kind| *kind != "default") {
                return Err(self.bad("rope_type", format!("`{kind}` is not supported")));
            }
            if let Some(theta) = parameters.get("rope_theta").and_then(Value::as_f64) {
                return Ok(theta);
            }
        }
        self.real_or("rope_theta", default)
    }
}
