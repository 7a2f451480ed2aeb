//! The metadata of a GGUF file as the fields of the `config.json` it was made from, so that one reader
//! of configs serves both formats.
//!
//! Names and defaults are those of llama.cpp's converter and of its loader. Metadata that would change
//! the forward pass and has no field in the Hugging Face config of the family is refused.

use serde_json::{Map, Value, json};

use super::{GgufFile, header, header::Scalar, metadata, names::Family};
use crate::LoadError;

/// What several fields follow from.
struct Sizes {
    hidden: usize,
    heads: usize,
    head_dim: usize,
    layers: usize,
}

impl GgufFile {
    /// The fields of `config.json`, among them `architectures`.
    ///
    /// # Errors
    /// A key that is missing, has another type, or has a value that no field can express.
    pub fn fields(&self) -> Result<Map<String, Value>, LoadError> {
        let sizes = self.sizes()?;
        self.refuse_what_has_no_field(&sizes)?;
        let epsilon = self.key("attention.layer_norm_rms_epsilon");
        let kv_heads = self.count(&self.key("attention.head_count_kv"))?.unwrap_or(sizes.heads);
        let common = json!({
            "vocab_size": self.vocabulary_size()?,
            "hidden_size": sizes.hidden,
            "intermediate_size": self.size("feed_forward_length")?,
            "num_hidden_layers": sizes.layers,
            "num_attention_heads": sizes.heads,
            "num_key_value_heads": kv_heads,
            "head_dim": sizes.head_dim,
            "rms_norm_eps": self.required(&epsilon, self.real(&epsilon)?)?,
            "max_position_embeddings": self.size("context_length")?,
            "tie_word_embeddings": !self.names.contains_key("lm_head.weight"),
        });
        let own = match self.family {
            Family::Llama => self.llama(&sizes)?,
            Family::Qwen2 => self.qwen("Qwen2ForCausalLM", &sizes)?,
            Family::Qwen3 => self.qwen("Qwen3ForCausalLM", &sizes)?,
            Family::Gemma3 => self.gemma3(&sizes)?,
        };
        let object = |value| if let Value::Object(fields) = value { fields } else { Map::new() };
        Ok(object(common).into_iter().chain(object(own)).collect())
    }

    /// The key of a value that belongs to the family.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.family.key())
    }

    /// A whole number that must be there.
    fn size(&self, name: &str) -> Result<usize, LoadError> {
        let key = self.key(name);
        self.required(&key, self.count(&key)?)
    }

    fn sizes(&self) -> Result<Sizes, LoadError> {
        let (hidden, heads) = (self.size("embedding_length")?, self.size("attention.head_count")?);
        if heads == 0 || hidden % heads != 0 {
            let reason = format!("is {heads}, which does not divide embedding_length {hidden}");
            return Err(self.bad(&self.key("attention.head_count"), reason));
        }
        let (layers, tensors) = (self.size("block_count")?, self.header.tensors.len());
        if layers > tensors {
            let reason = format!("is {layers}, but the file holds only {tensors} tensors");
            return Err(self.bad(&self.key("block_count"), reason));
        }
        let key_length = self.count(&self.key("attention.key_length"))?;
        Ok(Sizes { hidden, heads, head_dim: key_length.unwrap_or(hidden / heads), layers })
    }

    /// As the file says, else the number of its tokens, else the rows of its embedding.
    fn vocabulary_size(&self) -> Result<usize, LoadError> {
        let key = self.key("vocab_size");
        if let Some(size) = self.count(&key)? {
            return Ok(size);
        }
        if let Some(header::Value::Texts(tokens)) =
            self.header.metadata.get("tokenizer.ggml.tokens")
        {
            return Ok(tokens.len());
        }
        let embedding = self.header.tensors.get("token_embd.weight");
        self.required(&key, embedding.and_then(|entry| entry.shape.first().copied()))
    }

    fn refuse_what_has_no_field(&self, sizes: &Sizes) -> Result<(), LoadError> {
        if self.count("split.count")?.is_some_and(|files| files > 1) {
            return Err(LoadError::Unsupported {
                path: self.file.path().to_owned(),
                reason: "it is one of several files of a model".to_owned(),
                advice: "join them with `llama-gguf-split --merge`",
            });
        }
        for name in ["attention.value_length", "rope.dimension_count"] {
            let key = self.key(name);
            if let Some(found) = self.count(&key)?.filter(|found| *found != sizes.head_dim) {
                let reason =
                    format!("is {found}, only the key length {} is supported", sizes.head_dim);
                return Err(self.bad(&key, reason));
            }
        }
        let softcapping = match self.family {
            Family::Gemma3 => None,
            _ => Some("final_logit_softcapping"),
        };
        let scales = ["attention.scale", "embedding_scale", "residual_scale", "logit_scale"];
        let others = ["expert_count", "attn_logit_softcapping"];
        for name in scales.into_iter().chain(others).chain(softcapping) {
            let key = self.key(name);
            if let Some(found) = self.real(&key)?.filter(|found| *found != 0.0) {
                return Err(self.bad(&key, format!("is {found}, which is not supported")));
            }
        }
        let causal = self.key("attention.causal");
        if self.flag(&causal)? == Some(false) {
            return Err(self.bad(&causal, "is false, which is not supported"));
        }
        Ok(())
    }

    fn has_bias(&self, part: &str) -> bool {
        self.names.contains_key(&format!("model.layers.0.{part}.bias"))
    }

    /// Width of the window of the layers that have one.
    fn window(&self) -> Result<Option<usize>, LoadError> {
        Ok(self.count(&self.key("attention.sliding_window"))?.filter(|window| *window > 0))
    }

    /// The family `llama` holds every model of that shape; one with a window is a Mistral.
    fn llama(&self, sizes: &Sizes) -> Result<Value, LoadError> {
        let window = self.window()?;
        let name = if window.is_some() { "MistralForCausalLM" } else { "LlamaForCausalLM" };
        Ok(json!({
            "architectures": [name],
            "hidden_act": "silu",
            "attention_bias": self.has_bias("self_attn.q_proj"),
            "mlp_bias": self.has_bias("mlp.up_proj"),
            "sliding_window": window,
            "rope_parameters": self.rope(sizes.head_dim)?,
        }))
    }

    fn qwen(&self, name: &str, sizes: &Sizes) -> Result<Value, LoadError> {
        Ok(json!({
            "architectures": [name],
            "hidden_act": "silu",
            "attention_bias": self.has_bias("self_attn.q_proj"),
            "use_sliding_window": false,
            "rope_parameters": self.rope(sizes.head_dim)?,
        }))
    }

    fn gemma3(&self, sizes: &Sizes) -> Result<Value, LoadError> {
        /// Gemma 3 27B is the only one whose queries are scaled by width and not by head; the file does
        /// not say so, and llama.cpp tells it by its number of layers.
        const LAYERS_OF_27B: usize = 62;
        /// What llama.cpp takes where the file has no `rope.freq_base_swa`.
        const LOCAL_THETA: f64 = 10_000.0;
        let by_width = sizes.layers == LAYERS_OF_27B;
        let scale = if by_width { sizes.hidden / sizes.heads } else { sizes.head_dim };
        let window = self.window()?;
        // Zero turns it off there.
        let softcapping =
            self.real(&self.key("final_logit_softcapping"))?.filter(|cap| *cap != 0.0);
        let local = self.real(&self.key("rope.freq_base_swa"))?.unwrap_or(LOCAL_THETA);
        Ok(json!({
            "architectures": ["Gemma3ForCausalLM"],
            "hidden_activation": "gelu_pytorch_tanh",
            "attention_bias": false,
            "query_pre_attn_scalar": scale,
            "attn_logit_softcapping": null,
            "final_logit_softcapping": softcapping,
            "sliding_window": window,
            "layer_types": self.layer_types(sizes.layers, window.is_some())?,
            "rope_parameters": {
                "full_attention": self.rope(sizes.head_dim)?,
                "sliding_attention": { "rope_type": "default", "rope_theta": local },
            },
        }))
    }

    /// What every layer attends to. Where there is a window, `attention.sliding_window_pattern` says
    /// which layers have it: a flag for each, or the period whose last layer has none (else 6).
    fn layer_types(&self, layers: usize, slides: bool) -> Result<Vec<&'static str>, LoadError> {
        const PERIOD: usize = 6;
        let periodic = |period: usize| (1..=layers).map(|layer| layer % period != 0).collect();
        let key = self.key("attention.sliding_window_pattern");
        let pattern =
            self.optional(&key, "a period or a flag for each layer", |value| match value {
                header::Value::Scalar(period) => {
                    let period = usize::try_from(metadata::whole(*period)?).ok()?;
                    (period > 0).then(|| periodic(period))
                }
                list => {
                    let flags = metadata::scalars(list)?.into_iter().map(|flag| match flag {
                        Scalar::Flag(flag) => Some(flag),
                        _ => None,
                    });
                    flags.collect::<Option<Vec<bool>>>().filter(|flags| flags.len() == layers)
                }
            })?;
        let sliding = pattern.unwrap_or_else(|| periodic(PERIOD)).into_iter();
        Ok(sliding
            .map(|local| if slides && local { "sliding_attention" } else { "full_attention" })
            .collect())
    }
}
