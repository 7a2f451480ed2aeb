//! `config.json` of the Hugging Face format: field by field, with a message for each.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::python_json;
use crate::{
    error::LoadError,
    nn::{Activation, Rope, RopeScaling},
};

/// A parsed `config.json`.
pub(crate) struct HubConfig {
    path: PathBuf,
    fields: Map<String, Value>,
}

impl HubConfig {
    pub(crate) fn read(path: &Path) -> Result<Self, LoadError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
        let fields = python_json::parse(&text).map_err(|e| LoadError::Damaged {
            path: path.to_owned(),
            reason: format!("it is not a JSON object: {e}"),
        })?;
        Ok(Self { path: path.to_owned(), fields })
    }

    /// The same fields from elsewhere, such as the metadata of a GGUF file.
    pub(crate) fn from_fields(path: &Path, fields: Map<String, Value>) -> Self {
        Self { path: path.to_owned(), fields }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The one architecture it names.
    pub(crate) fn architecture(&self) -> Result<String, LoadError> {
        if self.get("architectures").is_none() && self.get("ssm_cfg").is_some() {
            // The configs of the original code of Mamba name no class.
            return Ok("MambaLMHeadModel".to_owned());
        }
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

    pub(crate) fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|v| !v.is_null())
    }

    /// A positive whole number, small enough that no product of three overflows.
    pub(crate) fn count(&self, field: &str) -> Result<usize, LoadError> {
        self.count_to(field, 1 << 24)
    }

    /// A number of layers: few enough to make a list of them before any weight is seen.
    pub(crate) fn layers(&self, field: &str) -> Result<usize, LoadError> {
        self.count_to(field, 1 << 12)
    }

    fn count_to(&self, field: &str, most: usize) -> Result<usize, LoadError> {
        let value = self.get(field).ok_or_else(|| self.bad(field, "is missing"))?;
        let count = value.as_u64().and_then(|v| usize::try_from(v).ok()).filter(|v| *v > 0);
        let count = count.filter(|count| *count <= most);
        let expected = format!("is {value}, expected a positive integer up to {most}");
        count.ok_or_else(|| self.bad(field, expected))
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
    pub(crate) fn heads(&self, hidden_size: usize) -> Result<[usize; 3], LoadError> {
        let heads = self.count("num_attention_heads")?;
        let kv_heads = self.count_or("num_key_value_heads", heads)?;
        if heads % kv_heads != 0 {
            let reason =
                format!("is {kv_heads}, which does not divide num_attention_heads {heads}");
            return Err(self.bad("num_key_value_heads", reason));
        }
        let head_dim = self.count_or("head_dim", hidden_size / heads)?;
        if head_dim == 0 || head_dim % 2 != 0 {
            let reason = format!("is {head_dim}, expected an even number");
            return Err(self.bad("head_dim", reason));
        }
        Ok([heads, kv_heads, head_dim])
    }

    /// Whether each layer sees a window only: `layer_types`, else `otherwise(layer)`.
    pub(crate) fn windowed_layers(
        &self,
        layers: usize,
        otherwise: impl Fn(usize) -> bool,
    ) -> Result<Vec<bool>, LoadError> {
        let Some(value) = self.get("layer_types") else {
            return Ok((0..layers).map(otherwise).collect());
        };
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
        windowed.collect()
    }

    /// The frequencies of rotary positions. Newer files keep everything in `rope_parameters` (one
    /// object, or one for each of `layer_types`: then `kind` picks it), older ones `rope_theta` at the
    /// top and the rest in `rope_scaling`.
    pub(crate) fn rope(
        &self,
        head_dim: usize,
        theta: f64,
        kind: Option<&str>,
    ) -> Result<Rope, LoadError> {
        let parameters = self.get("rope_parameters");
        let by_kind = kind.and_then(|kind| parameters?.get(kind)).filter(|v| !v.is_null());
        let nested = by_kind.or(parameters).or_else(|| self.get("rope_scaling"));
        let top = self.real_or("rope_theta", theta)?;
        let Some(nested) = nested else {
            return Ok(Rope::new(head_dim, top, RopeScaling::None));
        };
        let theta = nested.get("rope_theta").and_then(Value::as_f64).unwrap_or(top);
        Ok(Rope::new(head_dim, theta, self.rope_scaling(nested)?))
    }

    fn rope_scaling(&self, nested: &Value) -> Result<RopeScaling, LoadError> {
        let number = |field: &str| {
            let value = nested.get(field).and_then(Value::as_f64).filter(|v| *v > 0.0);
            value.ok_or_else(|| {
                self.bad(&format!("rope_scaling.{field}"), "is missing or not a positive number")
            })
        };
        let partial = nested.get("partial_rotary_factor").and_then(Value::as_f64);
        if partial.is_some_and(|share| share != 1.0) {
            return Err(self.bad("partial_rotary_factor", "only 1 is supported"));
        }
        let kind = nested.get("rope_type").or_else(|| nested.get("type")).and_then(Value::as_str);
        Ok(match kind.unwrap_or("default") {
            "default" => RopeScaling::None,
            "linear" => RopeScaling::Linear { factor: number("factor")? },
            "llama3" => RopeScaling::Llama3 {
                factor: number("factor")?,
                low: number("low_freq_factor")?,
                high: number("high_freq_factor")?,
                original_positions: number("original_max_position_embeddings")? as usize,
            },
            other => {
                let reason = format!("`{other}` is not supported: default, linear and llama3 are");
                return Err(self.bad("rope_type", reason));
            }
        })
    }
}
