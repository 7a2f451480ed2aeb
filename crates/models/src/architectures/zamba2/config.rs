//! The fields of Zamba2's `config.json` that matter, and the sizes that follow from them.

use serde_json::Value;

use crate::{
    Activation, LayerFacts, MixerShape, ModelFacts, SharedBlock, TimeSteps,
    architectures::{
        HubConfig,
        mixer_config::{MixerConfig, limits},
    },
    error::LoadError,
    nn::{AttentionShape, Rope},
};

/// A checked config; all sizes are counts.
#[derive(Clone, Debug)]
pub(super) struct Zamba2Config {
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) intermediate_size: usize,
    /// Whether a layer begins with a use of a shared block.
    pub(super) hybrid: Vec<bool>,
    /// Shared blocks that take turns.
    pub(super) num_mem_blocks: usize,
    pub(super) attention: AttentionShape,
    /// Whether queries, keys and values have adapters; gate and up always do.
    pub(super) attention_adapters: bool,
    pub(super) adapter_rank: usize,
    pub(super) rope: Option<Rope>,
    pub(super) activation: Activation,
    pub(super) bias: bool,
    pub(super) rms_norm_eps: f64,
    pub(super) max_position_embeddings: usize,
    pub(super) tie_word_embeddings: bool,
    pub(super) mixer: MixerConfig,
}

/// Other names of the fields, which transformers takes too.
pub(crate) const SYNONYMS: [(&str, &str); 2] =
    [("layers_block_type", "layer_types"), ("attention_head_dim", "head_dim")];

pub(super) fn read(config: &HubConfig) -> Result<Zamba2Config, LoadError> {
    let hidden_size = config.count("hidden_size")?;
    if config.count_or("attention_hidden_size", 2 * hidden_size)? != 2 * hidden_size {
        let reason = format!("is not twice hidden_size {hidden_size}, which alone is supported");
        return Err(config.bad("attention_hidden_size", reason));
    }
    let positions = config.count_or("max_position_embeddings", 4096)?;
    config.require_flag("use_shared_mlp_adapter", true, true)?;
    config.require_flag("use_long_context", false, false)?;
    config.require_absent("sliding_window")?;
    let attention = attention_shape(config, hidden_size)?;
    let attention_adapters = config.flag_or("use_shared_attention_adapter", false)?;
    if attention_adapters && attention.kv_heads != attention.heads {
        let reason = "adapters of the attention need as many key heads as query heads";
        return Err(config.bad("num_key_value_heads", reason));
    }
    let rope = match config.flag_or("use_mem_rope", false)? {
        true => Some(config.rope(attention.head_dim, positions)?),
        false => None,
    };
    let bias = config.flag_or("add_bias_linear", false)?;
    Ok(Zamba2Config {
        vocab_size: config.count("vocab_size")?,
        hidden_size,
        // The class takes zero for nothing said.
        intermediate_size: match config.get("intermediate_size") {
            Some(value) if value.as_u64() != Some(0) => config.count("intermediate_size")?,
            _ => 4 * hidden_size,
        },
        hybrid: hybrid_layers(config)?,
        num_mem_blocks: config.count_or("num_mem_blocks", 1)?,
        attention,
        attention_adapters,
        adapter_rank: config.count_or("adapter_rank", 128)?,
        rope,
        activation: config.activation_or("hidden_act", "gelu")?,
        bias,
        rms_norm_eps: config.real_or("rms_norm_eps", 1e-5)?,
        max_position_embeddings: positions,
        tie_word_embeddings: config.flag_or("tie_word_embeddings", true)?,
        mixer: mixer(config, hidden_size, bias)?,
    })
}

/// Twice as wide as the residual stream, for the block reads the embedding beside it; the scale is that
/// of half a head.
fn attention_shape(config: &HubConfig, hidden_size: usize) -> Result<AttentionShape, LoadError> {
    let heads = config.count("num_attention_heads")?;
    let kv_heads = config.count_or_null("num_key_value_heads", heads)?;
    if heads % kv_heads != 0 {
        let reason = format!("is {kv_heads}, which does not divide num_attention_heads {heads}");
        return Err(config.bad("num_key_value_heads", reason));
    }
    let head_dim = 2 * hidden_size / heads;
    if head_dim == 0 || !head_dim.is_multiple_of(2) || head_dim * heads != 2 * hidden_size {
        let reason = format!("is {heads}, which does not divide hidden_size {hidden_size}");
        return Err(config.bad("num_attention_heads", reason));
    }
    if config.count_or("attention_head_dim", head_dim)? != head_dim {
        return Err(config.bad("attention_head_dim", format!("is not {head_dim}")));
    }
    let scale = 1.0 / (head_dim as f32 / 2.0).sqrt();
    Ok(AttentionShape { scale, ..AttentionShape::new(heads, kv_heads, head_dim) })
}

/// Least and largest time step. transformers raises them to `time_step_min`, whatever `time_step_limit`
/// says; the original code has no limits but that one.
fn time_step_limits(config: &HubConfig) -> Result<[f32; 2], LoadError> {
    const LIMIT: &str = "time_step_limit";
    let limit = limits(config, LIMIT)?;
    if config.options().time_steps == TimeSteps::Original {
        return Ok(limit);
    }
    let least = config.real_or("time_step_min", 0.001)? as f32;
    if !least.is_finite() || least < 0.0 {
        return Err(config.bad("time_step_min", format!("is {least}, expected zero or more")));
    }
    match config.get(LIMIT) {
        Some(value) if limit != [least, f32::INFINITY] => {
            let reason = format!(
                "is {value}, but transformers reads `time_step_min`, which is {least}, in its place: remove \
                 one of the two, or choose the rule of the original code (time_steps = \"original\")"
            );
            Err(config.bad(LIMIT, reason))
        }
        _ => Ok([least, f32::INFINITY]),
    }
}

fn mixer(config: &HubConfig, hidden_size: usize, bias: bool) -> Result<MixerConfig, LoadError> {
    let inner = config.count_or("mamba_expand", 2)? * hidden_size;
    let heads = config.count_or("n_mamba_heads", 8)?;
    let mixer = MixerConfig {
        hidden_size,
        shape: MixerShape {
            heads,
            head_dim: config.count_or("mamba_headdim", (inner / heads).max(1))?,
            groups: config.count_or("mamba_ngroups", 1)?,
            channels: config.count_or("mamba_d_state", 64)?,
        },
        kernel: config.count_or("mamba_d_conv", 4)?,
        // The classes have it whatever `use_conv_bias` says.
        convolution_bias: true,
        bias,
        dt_limits: time_step_limits(config)?,
        epsilon: 1e-5,
    };
    mixer.check(config, inner, ["n_mamba_heads", "mamba_ngroups"])?;
    Ok(mixer)
}

/// From the kind of every layer (`mamba` of older files is `linear_attention` now), or from the list of
/// hybrid ones.
fn hybrid_layers(config: &HubConfig) -> Result<Vec<bool>, LoadError> {
    let layers = config.layers("num_hidden_layers")?;
    let listed = |field: &str| match config.get(field) {
        None => Ok(None),
        Some(Value::Array(values)) => Ok(Some(values)),
        Some(value) => Err(config.bad(field, format!("is {value}, expected a list"))),
    };
    let by_kind = match listed("layers_block_type")? {
        Some(kinds) => Some(hybrid_kinds(config, kinds, layers)?),
        None => None,
    };
    let Some(ids) = listed("hybrid_layer_ids")? else {
        return by_kind.ok_or_else(|| config.bad("layers_block_type", "is missing"));
    };
    // The order of the list says which layer has which adapters.
    if !ids.is_sorted_by(|a, b| a.as_u64() < b.as_u64()) {
        return Err(config.bad("hybrid_layer_ids", "is not in ascending order, or names one twice"));
    }
    let mut hybrid = vec![false; layers];
    for id in ids {
        match id.as_u64().and_then(|id| hybrid.get_mut(usize::try_from(id).ok()?)) {
            Some(layer) => *layer = true,
            None => return Err(config.bad("hybrid_layer_ids", format!("holds {id}, no layer"))),
        }
    }
    match by_kind.filter(|kinds| *kinds != hybrid) {
        None => Ok(hybrid),
        Some(_) => {
            let reason =
                "names other layers than `layers_block_type`: remove the one that is wrong";
            Err(config.bad("hybrid_layer_ids", reason))
        }
    }
}

/// Which layers the list of kinds calls hybrid.
fn hybrid_kinds(
    config: &HubConfig,
    kinds: &[Value],
    layers: usize,
) -> Result<Vec<bool>, LoadError> {
    const FIELD: &str = "layers_block_type";
    if kinds.len() != layers {
        return Err(config.bad(FIELD, format!("has {} entries, expected {layers}", kinds.len())));
    }
    let hybrid = kinds.iter().map(|kind| match kind.as_str() {
        Some("mamba" | "linear_attention") => Ok(false),
        Some("hybrid") => Ok(true),
        _ => Err(config.bad(FIELD, format!("holds {kind}, which is not known"))),
    });
    hybrid.collect()
}

impl Zamba2Config {
    /// Layers that use a shared block.
    pub(super) fn uses(&self) -> Vec<usize> {
        (0..self.hybrid.len()).filter(|layer| self.hybrid[*layer]).collect()
    }

    pub(super) fn attention_widths(&self) -> [usize; 2] {
        let AttentionShape { heads, kv_heads, head_dim, .. } = self.attention;
        [heads * head_dim, kv_heads * head_dim]
    }

    /// Weights of a shared block, without norms, biases and adapters.
    fn block_matrices(&self) -> usize {
        let [query, kv] = self.attention_widths();
        let attention = 2 * self.hidden_size * (query + 2 * kv) + query * self.hidden_size;
        attention + 3 * self.hidden_size * self.intermediate_size
    }

    /// Weights of one use alone: its adapters and the way back into the stream.
    fn use_matrices(&self) -> usize {
        let [query, kv] = self.attention_widths();
        let ffn = self.adapter_rank * (self.hidden_size + 2 * self.intermediate_size);
        let inputs = 3 * 2 * self.hidden_size;
        let attention = self.adapter_rank * (inputs + query + 2 * kv);
        ffn + usize::from(self.attention_adapters) * attention + self.hidden_size * self.hidden_size
    }

    /// Norms and biases of a shared block.
    fn block_vectors(&self) -> usize {
        3 * self.hidden_size
            + usize::from(self.bias) * (2 * self.intermediate_size + self.hidden_size)
    }

    /// Sizes of a layer, with the number of the shared block that it uses.
    pub(super) fn layer_facts(&self, block: Option<usize>) -> LayerFacts {
        let plain = LayerFacts {
            parameters: self.mixer.parameters() + self.hidden_size,
            unmapped: self.mixer.unmapped() + self.hidden_size,
            multiplied: self.mixer.multiplied(),
            state_sites: 1,
            ..LayerFacts::default()
        };
        let Some(number) = block else { return plain };
        let shared = SharedBlock {
            number,
            parameters: self.block_matrices() + self.block_vectors(),
            unmapped: 3 * self.hidden_size,
        };
        LayerFacts {
            parameters: plain.parameters + self.use_matrices(),
            shared: Some(shared),
            multiplied: plain.multiplied + self.block_matrices() + self.use_matrices(),
            attention_width: self.attention_widths()[0],
            attentions: 1,
            ffn_sites: 1,
            ..plain
        }
    }

    /// Sizes of the model.
    pub(super) fn facts(&self) -> ModelFacts {
        let (layers, d_model) = (self.hybrid.len(), self.hidden_size);
        let uses = self.uses().len();
        let blocks = uses.min(self.num_mem_blocks);
        let table = self.vocab_size * d_model;
        let tables = if self.tie_word_embeddings { 1 } else { 2 };
        let [attention_width, _] = self.attention_widths();
        ModelFacts {
            vocabulary: self.vocab_size,
            d_model,
            layers,
            max_positions: self.max_position_embeddings,
            ffn_sites: uses,
            neurons: self.intermediate_size,
            gated: true,
            state: Some(self.mixer.state(layers)),
            attention_width: uses * attention_width,
            parameters: layers * (self.mixer.parameters() + d_model)
                + blocks * (self.block_matrices() + self.block_vectors())
                + uses * self.use_matrices()
                + d_model
                + tables * table,
            multiplied: layers * self.mixer.multiplied()
                + uses * (self.block_matrices() + self.use_matrices())
                + table,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};
    use std::path::Path;

    fn read_with(field: &str, value: Value) -> Result<Zamba2Config, LoadError> {
        let mut fields: Map<String, Value> = json!({
            "hidden_size": 24, "num_hidden_layers": 4, "vocab_size": 61, "num_attention_heads": 4,
            "hybrid_layer_ids": [1, 2], "mamba_headdim": 6, "num_mem_blocks": 2,
        })
        .as_object()
        .expect("an object")
        .clone();
        fields.insert(field.to_owned(), value);
        if field == "layers_block_type" {
            fields.remove("hybrid_layer_ids");
        }
        let config = HubConfig::from_fields(Path::new("config.json"), fields);
        read(&config.under_own_names(&SYNONYMS)?)
    }

    /// transformers raises to `time_step_min`, the original code to nothing but its own limit.
    #[test]
    fn time_steps_have_two_rules() {
        let limits = |fields: Value, time_steps| {
            let fields = fields.as_object().expect("an object").clone();
            let config = HubConfig::from_fields(Path::new("config.json"), fields);
            time_step_limits(&config.with(crate::Options { time_steps }))
        };
        let infinity = f32::INFINITY;
        for (fields, transformers, original) in [
            (json!({}), Some([0.001, infinity]), [0.0, infinity]),
            (
                json!({"time_step_min": 0.02, "time_step_limit": null}),
                Some([0.02, infinity]),
                [0.0, infinity],
            ),
            (json!({"time_step_limit": [0.01, 0.1]}), None, [0.01, 0.1]),
            (
                json!({"time_step_limit": [0.001, "Infinity"]}),
                Some([0.001, infinity]),
                [0.001, infinity],
            ),
        ] {
            assert_eq!(
                limits(fields.clone(), TimeSteps::Transformers).ok(),
                transformers,
                "{fields}"
            );
            assert_eq!(
                limits(fields.clone(), TimeSteps::Original).ok(),
                Some(original),
                "{fields}"
            );
        }
    }

    #[test]
    fn second_names_are_read() {
        let fields = json!(["mamba", "hybrid", "hybrid", "mamba"]);
        assert_eq!(read_with("layer_types", fields).expect("the same layers").uses(), [1, 2]);
        let other = json!(["hybrid", "mamba", "mamba", "mamba"]);
        let error = read_with("layer_types", other).expect_err("other layers").to_string();
        assert!(
            error.contains("hybrid_layer_ids") && error.contains("layers_block_type"),
            "{error}"
        );
        assert!(read_with("head_dim", json!(12)).is_ok());
        assert!(read_with("head_dim", json!(6)).is_err());
    }

    #[test]
    fn layers_are_hybrid_by_kind_or_by_number() {
        let by_number = read_with("use_cache", json!(true)).expect("all fields are good");
        assert_eq!(
            (by_number.hybrid.clone(), by_number.uses()),
            (vec![false, true, true, false], vec![1, 2])
        );
        let kinds = json!(["mamba", "hybrid", "linear_attention", "hybrid"]);
        assert_eq!(read_with("layers_block_type", kinds).expect("known kinds").uses(), [1, 3]);
    }

    #[test]
    fn refuses_by_field() {
        for (field, value) in [
            ("layers_block_type", json!(["mamba", "hybrid"])),
            ("layers_block_type", json!(["mamba", "hybrid", "attention", "mamba"])),
            ("hybrid_layer_ids", json!([1, 4])),
            ("n_mamba_heads", json!(7)),
            ("mamba_ngroups", json!(3)),
            ("num_attention_heads", json!(5)),
            ("attention_head_dim", json!(6)),
            ("num_key_value_heads", json!(3)),
            ("use_long_context", json!(true)),
            ("use_shared_mlp_adapter", json!(false)),
            ("sliding_window", json!(4096)),
        ] {
            let Err(error) = read_with(field, value) else { panic!("{field} was taken") };
            let error = error.to_string();
            assert!(error.contains(&format!("field `{field}`")), "{error}");
        }
    }
}
