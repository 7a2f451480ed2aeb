//! `config.json` of the Hugging Face format: field by field, with a message for each.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::python_json;
use crate::{Options, error::LoadError, nn::Activation};

/// A parsed `config.json`. A field that is `null` says nothing where the class of the reference lets it be
/// null, and is refused elsewhere.
pub(crate) struct HubConfig {
    path: PathBuf,
    fields: Map<String, Value>,
    options: Options,
}

/// What the class of a family takes where a config says nothing (transformers 5.23).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClassDefaults {
    /// `max_position_embeddings`.
    pub(crate) positions: usize,
    /// `num_key_value_heads`; none where there are as many as query heads.
    pub(crate) key_heads: Option<usize>,
    /// `head_dim`; none where it is `hidden_size / num_attention_heads`, and may be null.
    pub(crate) head_dim: Option<usize>,
    /// `tie_word_embeddings`.
    pub(crate) tied: bool,
}

impl HubConfig {
    pub(crate) fn read(path: &Path) -> Result<Self, LoadError> {
        let text = checkpoints::read_text(path)?;
        let fields = python_json::parse(&text).map_err(|e| LoadError::Damaged {
            path: path.to_owned(),
            reason: format!("it is not a JSON object: {e}"),
        })?;
        Ok(Self::from_fields(path, fields))
    }

    /// The same fields from elsewhere, such as the metadata of a GGUF file.
    pub(crate) fn from_fields(path: &Path, fields: Map<String, Value>) -> Self {
        Self { path: path.to_owned(), fields, options: Options::default() }
    }

    /// The same config, to be read by these rules.
    pub(crate) fn with(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// All fields.
    pub(super) fn into_fields(self) -> Map<String, Value> {
        self.fields
    }

    pub(crate) fn options(&self) -> Options {
        self.options
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn bad(&self, field: &str, reason: impl Into<String>) -> LoadError {
        LoadError::Config {
            path: self.path.clone(),
            field: field.to_owned(),
            reason: reason.into(),
        }
    }

    /// What a field says; nothing where it is absent or null.
    pub(crate) fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|v| !v.is_null())
    }

    /// Whether a field is there, null or not.
    pub(super) fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// Whether a field is there and null.
    pub(super) fn is_null(&self, field: &str) -> bool {
        self.fields.get(field).is_some_and(Value::is_null)
    }

    pub(super) fn set(&mut self, field: &str, value: Value) {
        self.fields.insert(field.to_owned(), value);
    }

    /// A positive whole number, small enough that no product of three overflows.
    pub(crate) fn count(&self, field: &str) -> Result<usize, LoadError> {
        self.whole(field, 1, 1 << 24)
    }

    /// The same, or zero.
    pub(crate) fn count_from_0(&self, field: &str) -> Result<usize, LoadError> {
        self.whole(field, 0, 1 << 24)
    }

    /// A number of layers: few enough to make a list of them before any weight is seen.
    pub(crate) fn layers(&self, field: &str) -> Result<usize, LoadError> {
        self.whole(field, 1, 1 << 12)
    }

    fn whole(&self, field: &str, least: usize, most: usize) -> Result<usize, LoadError> {
        let value = self.fields.get(field).ok_or_else(|| self.bad(field, "is missing"))?;
        let count = value.as_u64().and_then(|v| usize::try_from(v).ok());
        let expected = format!("is {value}, expected a whole number from {least} to {most}");
        count.filter(|v| (least..=most).contains(v)).ok_or_else(|| self.bad(field, expected))
    }

    /// A count, or `default` where the field is absent.
    pub(crate) fn count_or(&self, field: &str, default: usize) -> Result<usize, LoadError> {
        if self.fields.contains_key(field) { self.count(field) } else { Ok(default) }
    }

    /// A count, or `default` where the field is absent or null.
    pub(crate) fn count_or_null(&self, field: &str, default: usize) -> Result<usize, LoadError> {
        if self.get(field).is_some() { self.count(field) } else { Ok(default) }
    }

    /// The width of a window: none where the field is null, `default` where it is absent.
    pub(crate) fn window_or(&self, default: usize) -> Result<Option<usize>, LoadError> {
        const FIELD: &str = "sliding_window";
        if self.is_null(FIELD) { Ok(None) } else { self.count_or(FIELD, default).map(Some) }
    }

    pub(crate) fn real_or(&self, field: &str, default: f64) -> Result<f64, LoadError> {
        let Some(value) = self.fields.get(field) else { return Ok(default) };
        value.as_f64().ok_or_else(|| self.bad(field, format!("is {value}, expected a number")))
    }

    pub(crate) fn flag_or(&self, field: &str, default: bool) -> Result<bool, LoadError> {
        let Some(value) = self.fields.get(field) else { return Ok(default) };
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
        let Some(value) = self.fields.get(field) else { return Ok(default.to_owned()) };
        let text = value.as_str().map(str::to_owned);
        text.ok_or_else(|| self.bad(field, format!("is {value}, expected a text")))
    }

    /// A field whose presence would change the numbers in a way that is not implemented.
    pub(crate) fn require_absent(&self, field: &str) -> Result<(), LoadError> {
        match self.get(field) {
            None => Ok(()),
            Some(value) => Err(self.bad(field, format!("is {value}, which is not supported"))),
        }
    }

    /// The non-linearity that a field names.
    pub(crate) fn activation_or(
        &self,
        field: &str,
        default: &str,
    ) -> Result<Activation, LoadError> {
        Ok(match self.text_or(field, default)?.as_str() {
            "relu" => Activation::Relu,
            "silu" | "swish" => Activation::Silu,
            "gelu" => Activation::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Activation::GeluTanh,
            other => {
                let known = "relu, silu, gelu, gelu_new and gelu_pytorch_tanh are";
                return Err(self.bad(field, format!("`{other}` is not supported: {known}")));
            }
        })
    }

    /// Query heads, key heads (a divisor) and the even width of a head.
    pub(crate) fn heads(
        &self,
        hidden_size: usize,
        defaults: &ClassDefaults,
    ) -> Result<[usize; 3], LoadError> {
        let heads = self.count("num_attention_heads")?;
        let kv_heads = match self.is_null("num_key_value_heads") {
            true => heads,
            false => self.count_or("num_key_value_heads", defaults.key_heads.unwrap_or(heads))?,
        };
        if heads % kv_heads != 0 {
            let by_class = match self.get("num_key_value_heads") {
                Some(_) => "",
                None => " by default",
            };
            let reason = format!(
                "is {kv_heads}{by_class}, which does not divide num_attention_heads {heads}"
            );
            return Err(self.bad("num_key_value_heads", reason));
        }
        let head_dim = match defaults.head_dim {
            Some(width) => self.count_or("head_dim", width)?,
            None => self.count_or_null("head_dim", hidden_size / heads)?,
        };
        if head_dim == 0 || head_dim % 2 != 0 {
            let reason = format!("is {head_dim}, expected an even number");
            return Err(self.bad("head_dim", reason));
        }
        Ok([heads, kv_heads, head_dim])
    }

    /// Whether each layer sees a window only, as `layer_types` has it; none where it says nothing.
    pub(crate) fn windowed_layers(&self, layers: usize) -> Result<Option<Vec<bool>>, LoadError> {
        let Some(value) = self.get("layer_types") else { return Ok(None) };
        let kinds = value.as_array().filter(|kinds| kinds.len() == layers);
        let kinds = kinds.ok_or_else(|| {
            self.bad(
                "layer_types",
                format!("is {value}, expected one entry for each of {layers} layers"),
            )
        })?;
        let windowed = kinds.iter().map(|kind| match kind.as_str() {
            Some("full_attention") => Ok(false),
            Some("sliding_attention") => Ok(true),
            _ => Err(self.bad("layer_types", format!("holds {kind}, which is not supported"))),
        });
        windowed.collect::<Result<_, _>>().map(Some)
    }

    /// Which layers see a window only, where `field` says it too: the two must agree.
    pub(crate) fn agreed_layers(
        &self,
        listed: Option<Vec<bool>>,
        field: &str,
        by_field: Vec<bool>,
    ) -> Result<Vec<bool>, LoadError> {
        let Some(listed) = listed else { return Ok(by_field) };
        let apart = listed.iter().zip(&by_field).position(|(a, b)| a != b);
        match apart.filter(|_| self.fields.contains_key(field)) {
            None => Ok(listed),
            Some(layer) => {
                let sees = |windowed: bool| if windowed { "a window only" } else { "everything" };
                let reason = format!(
                    "lets layer {layer} see {}, but by `{field}` it sees {}: remove the one that is wrong",
                    sees(listed[layer]),
                    sees(by_field[layer])
                );
                Err(self.bad("layer_types", reason))
            }
        }
    }
}
