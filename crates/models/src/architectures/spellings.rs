//! Settings that a config may say in more than one place: under an older and a newer name, on top and in an
//! object. None of them is chosen in secret: what the places say is compared, and where they differ the error
//! names both.
//!
//! `dtype` and `torch_dtype` are two such names too, but neither is read: every weight is read in the type
//! that its file gives it, and all computing is in f32.

use serde_json::Value;

use super::HubConfig;
use crate::error::LoadError;

/// A value, and the full name of the place that says it.
#[derive(Clone, Debug)]
pub(super) struct Said<'a> {
    pub(super) place: String,
    pub(super) value: &'a Value,
}

/// Whether two values mean the same: `10000` and `10000.0` do.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let inside = |key: &String, value| b.get(key).is_some_and(|other| same(value, other));
            a.len() == b.len() && a.iter().all(|(key, value)| inside(key, value))
        }
        _ => a == b,
    }
}

impl HubConfig {
    /// What all places that say something say; nothing where none does.
    pub(super) fn agreed<'a>(
        &self,
        places: impl IntoIterator<Item = (String, Option<&'a Value>)>,
    ) -> Result<Option<Said<'a>>, LoadError> {
        let mut said =
            places.into_iter().filter_map(|(place, value)| Some(Said { place, value: value? }));
        let Some(first) = said.next() else { return Ok(None) };
        match said.find(|other| !same(first.value, other.value)) {
            Some(other) => Err(self.contradiction(&first, &other)),
            None => Ok(Some(first)),
        }
    }

    /// Two places that say different things of one setting.
    pub(super) fn contradiction(&self, first: &Said<'_>, other: &Said<'_>) -> LoadError {
        let (Said { place, value }, Said { place: second, value: its }) = (first, other);
        let reason = format!(
            "is {value}, but `{second}`, which says the same thing, is {its}: remove the one that is wrong"
        );
        self.bad(place, reason)
    }

    /// The same config with every field under the family's own name, given pairs of that and another.
    pub(super) fn under_own_names(mut self, synonyms: &[(&str, &str)]) -> Result<Self, LoadError> {
        for (own, other) in synonyms {
            let said = [own, other].map(|name| ((*name).to_owned(), self.get(name)));
            let value = self.agreed(said)?.map(|said| said.value.clone());
            if let Some(value) = value {
                self.set(own, value);
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn config(fields: &Value) -> HubConfig {
        let fields = fields.as_object().expect("an object").clone();
        HubConfig::from_fields(Path::new("config.json"), fields)
    }

    #[test]
    fn synonyms_fill_in_and_must_agree() {
        let pairs = [("n_embd", "hidden_size")];
        for fields in [
            json!({"n_embd": 8}),
            json!({"hidden_size": 8.0}),
            json!({"n_embd": 8, "hidden_size": 8}),
        ] {
            let config = config(&fields).under_own_names(&pairs).expect("no contradiction");
            assert_eq!(config.get("n_embd").and_then(Value::as_f64), Some(8.0), "{fields}");
        }
        let fields = json!({"n_embd": 8, "hidden_size": 16});
        let error = config(&fields).under_own_names(&pairs).err().expect("a contradiction");
        let error = error.to_string();
        assert!(error.contains("`n_embd`") && error.contains("`hidden_size`"), "{error}");
    }
}
