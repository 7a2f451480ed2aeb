//! The `config.json` of a model that is saved: that of the model it was read as, with what has changed.

use serde_json::{Map, Value, json};

use super::{HubConfig, known, python_json};
use crate::{Saved, error::LoadError};

/// The fields of a source's config with those of `saved` in their place.
pub(crate) fn fields(source: HubConfig, saved: &Saved) -> Result<Map<String, Value>, LoadError> {
    let written = known::written(&source)?;
    // What the original code of Mamba calls its fields means nothing to transformers.
    let mut fields = if written.is_foreign { Map::new() } else { source.into_fields() };
    fields.insert("architectures".to_owned(), json!([written.class]));
    fields.insert("model_type".to_owned(), json!(written.model_type));
    for (own, other) in written.synonyms {
        if saved.fields.contains_key(*own) {
            fields.remove(*other);
        }
    }
    for gone in &saved.gone {
        fields.remove(*gone);
    }
    fields.extend(saved.fields.clone());
    Ok(fields)
}

/// A `config.json` as Python reads it.
pub fn config_text(fields: &Map<String, Value>) -> String {
    python_json::text(fields)
}
