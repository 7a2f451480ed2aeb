//! Mamba-2 (Dao & Gu 2024, arXiv:2405.21060): mixers only, no attention and no feed-forward blocks. In
//! the form of the Hugging Face classes and in that of the original code (state-spaces).

mod rotated;
mod saved;

use std::ops::Range;

use burn::tensor::Tensor;
use serde_json::Value;

use super::{
    Blueprint, HubConfig, LayerFacts, Model, ModelFacts, Rotated, check_batch, embed, head_product,
    map_tables,
    mixer_config::{MixerConfig, limits},
};
use crate::{
    Activation, Attention, Batch, Cache, Executor, ExecutorError, Ffn, LayerEnd, LinearMapper,
    MatrixUse, Mixer, MixerShape, RotationError, SaveError, Saved,
    error::LoadError,
    linears::{self, Mapping},
    nn::RmsNorm,
    weights::{Dim, Weights},
};

/// A checked config.
#[derive(Clone, Debug)]
struct Mamba2Config {
    vocab_size: usize,
    num_hidden_layers: usize,
    norm_epsilon: f64,
    tie_word_embeddings: bool,
    mixer: MixerConfig,
}

/// `Mamba2ForCausalLM` of transformers. `chunk_size`, the `time_step_*` of the initialisation and what
/// says how kernels run are not needed.
pub(crate) fn read(config: &HubConfig) -> Result<Box<dyn Blueprint>, LoadError> {
    let hidden_size = config.count("hidden_size")?;
    if config.activation_or("hidden_act", "silu")? != Activation::Silu {
        return Err(config.bad("hidden_act", "only silu is supported"));
    }
    config.require_flag("rms_norm", true, true)?;
    // transformers divides the weights that it has read by it, and the original code only initial ones.
    config.require_flag("rescale_prenorm_residual", false, false)?;
    let epsilon = config.real_or("layer_norm_epsilon", 1e-5)?;
    let mixer = MixerConfig {
        hidden_size,
        shape: MixerShape {
            heads: config.count_or("num_heads", 128)?,
            head_dim: config.count_or("head_dim", 64)?,
            groups: config.count_or("n_groups", 8)?,
            channels: config.count_or("state_size", 128)?,
        },
        kernel: config.count_or("conv_kernel", 4)?,
        convolution_bias: config.flag_or("use_conv_bias", true)?,
        bias: config.flag_or("use_bias", false)?,
        dt_limits: limits(config, "time_step_limit")?,
        epsilon,
    };
    mixer.check(config, config.count_or("expand", 2)? * hidden_size, ["num_heads", "n_groups"])?;
    Ok(Box::new(Mamba2Config {
        vocab_size: config.count("vocab_size")?,
        num_hidden_layers: config.layers("num_hidden_layers")?,
        norm_epsilon: epsilon,
        tie_word_embeddings: config.flag_or("tie_word_embeddings", false)?,
        mixer,
    }))
}

/// `MambaLMHeadModel` of the original code, with its defaults. Its embedding has rows up to a multiple of
/// `pad_vocab_size_multiple`, which count as vocabulary.
pub(crate) fn read_original(config: &HubConfig) -> Result<Box<dyn Blueprint>, LoadError> {
    /// Of the block norms, the last norm and the gated norm; no config names it.
    const EPSILON: f64 = 1e-5;
    let hidden_size = config.count("d_model")?;
    config.require_flag("rms_norm", true, true)?;
    for field in ["d_intermediate", "attn_layer_idx"] {
        let empty = |v: &Value| v.as_u64() == Some(0) || v.as_array().is_some_and(Vec::is_empty);
        if let Some(value) = config.get(field).filter(|value| !empty(value)) {
            let reason = format!("is {value}: only models of mixers alone are supported");
            return Err(config.bad(field, reason));
        }
    }
    let rows = config.count_or("pad_vocab_size_multiple", 8)?;
    Ok(Box::new(Mamba2Config {
        vocab_size: config.count("vocab_size")?.next_multiple_of(rows),
        num_hidden_layers: config.layers("n_layer")?,
        norm_epsilon: EPSILON,
        tie_word_embeddings: config.flag_or("tie_embeddings", true)?,
        mixer: original_mixer(config, hidden_size, EPSILON)?,
    }))
}

/// Fields of `ssm_cfg` that decide something, and those that say how to initialise or to run.
const SSM_FIELDS: [&str; 20] = [
    "layer",
    "d_state",
    "d_conv",
    "expand",
    "headdim",
    "ngroups",
    "bias",
    "conv_bias",
    "dt_limit",
    "rmsnorm",
    "norm_before_gate",
    "D_has_hdim",
    "d_ssm",
    "A_init_range",
    "conv_init",
    "dt_min",
    "dt_max",
    "dt_init_floor",
    "chunk_size",
    "use_mem_eff_path",
];

fn original_mixer(
    config: &HubConfig,
    hidden_size: usize,
    epsilon: f64,
) -> Result<MixerConfig, LoadError> {
    let Some(Value::Object(fields)) = config.get("ssm_cfg") else {
        return Err(config.bad("ssm_cfg", "is missing or no object"));
    };
    if let Some(unknown) = fields.keys().find(|field| !SSM_FIELDS.contains(&field.as_str())) {
        return Err(config.bad(&format!("ssm_cfg.{unknown}"), "is not supported"));
    }
    // Under their full names, which messages then have too.
    let named = fields.iter().map(|(field, value)| (format!("ssm_cfg.{field}"), value.clone()));
    let ssm = HubConfig::from_fields(config.path(), named.collect());
    let layer = ssm.text_or("ssm_cfg.layer", "Mamba1")?;
    if layer != "Mamba2" {
        return Err(ssm.bad("ssm_cfg.layer", format!("`{layer}` is not supported: Mamba2 is")));
    }
    ssm.require_flag("ssm_cfg.rmsnorm", true, true)?;
    ssm.require_flag("ssm_cfg.norm_before_gate", false, false)?;
    ssm.require_flag("ssm_cfg.D_has_hdim", false, false)?;
    ssm.require_absent("ssm_cfg.d_ssm")?;
    let head_dim = ssm.count_or("ssm_cfg.headdim", 64)?;
    let inner = ssm.count_or("ssm_cfg.expand", 2)? * hidden_size;
    let mixer = MixerConfig {
        hidden_size,
        shape: MixerShape {
            heads: (inner / head_dim).max(1),
            head_dim,
            groups: ssm.count_or("ssm_cfg.ngroups", 1)?,
            channels: ssm.count_or("ssm_cfg.d_state", 128)?,
        },
        kernel: ssm.count_or("ssm_cfg.d_conv", 4)?,
        convolution_bias: ssm.flag_or("ssm_cfg.conv_bias", true)?,
        bias: ssm.flag_or("ssm_cfg.bias", false)?,
        dt_limits: limits(&ssm, "ssm_cfg.dt_limit")?,
        epsilon,
    };
    mixer.check(&ssm, inner, ["ssm_cfg.headdim", "ssm_cfg.ngroups"])?;
    Ok(mixer)
}

impl Blueprint for Mamba2Config {
    fn facts(&self) -> ModelFacts {
        let (layers, d_model) = (self.num_hidden_layers, self.mixer.hidden_size);
        let table = self.vocab_size * d_model;
        let tables = if self.tie_word_embeddings { 1 } else { 2 };
        ModelFacts {
            vocabulary: self.vocab_size,
            d_model,
            layers,
            max_positions: usize::MAX,
            ffn_sites: 0,
            neurons: 0,
            gated: false,
            state: Some(self.mixer.state(layers)),
            attention_width: 0,
            heads: None,
            parameters: layers * (self.mixer.parameters() + d_model) + d_model + tables * table,
            multiplied: layers * self.mixer.multiplied() + table,
        }
    }

    fn load(&self, w: &mut Weights<'_>) -> Result<Box<dyn Model>, LoadError> {
        let d_model = Dim("hidden_size", self.mixer.hidden_size);
        let vocabulary = Dim("vocab_size", self.vocab_size);
        // The original code's name, which transformers takes too.
        let original = "backbone.embedding.weight";
        let name = if w.has(original) { original } else { "backbone.embeddings.weight" };
        let tied = self.tie_word_embeddings;
        let embedding = w.embedding(tied, name, [vocabulary, d_model])?;
        let norm = |name: &str, w: &mut Weights<'_>| -> Result<RmsNorm, LoadError> {
            Ok(RmsNorm { weight: w.vector(name, d_model)?, epsilon: self.norm_epsilon })
        };
        let layers = (0..self.num_hidden_layers).map(|layer| {
            let at = format!("backbone.layers.{layer}");
            let norm = norm(&format!("{at}.norm.weight"), w)?;
            Ok(Layer { norm, mixer: self.mixer.load(w, &format!("{at}.mixer"))? })
        });
        let layers = layers.collect::<Result<Vec<_>, LoadError>>()?;
        let norm = norm("backbone.norm_f.weight", w)?;
        let head = w.head(tied, (name, &embedding), [vocabulary, d_model])?;
        let (facts, layer_facts) = (self.facts(), self.layer_facts());
        Ok(Box::new(Mamba2 { facts, layer_facts, tied, embedding, layers, norm, head }))
    }
}

impl Mamba2Config {
    /// Every layer has the same sizes.
    fn layer_facts(&self) -> LayerFacts {
        LayerFacts {
            parameters: self.mixer.parameters() + self.mixer.hidden_size,
            unmapped: self.mixer.unmapped() + self.mixer.hidden_size,
            multiplied: self.mixer.multiplied(),
            state_sites: 1,
            ..LayerFacts::default()
        }
    }
}

#[derive(Clone, Debug)]
struct Layer {
    norm: RmsNorm,
    mixer: Mixer,
}

/// `x += mixer(norm(x))`, layer by layer.
#[derive(Clone, Debug)]
struct Mamba2 {
    facts: ModelFacts,
    layer_facts: LayerFacts,
    /// Whether the head is the embedding.
    tied: bool,
    /// `[vocabulary, d_model]`.
    embedding: Tensor<2>,
    layers: Vec<Layer>,
    norm: RmsNorm,
    /// `[vocabulary, d_model]`: `embedding` itself where the two are tied.
    head: Tensor<2>,
}

impl Model for Mamba2 {
    fn facts(&self) -> ModelFacts {
        self.facts
    }

    fn layer_facts(&self, _: usize) -> LayerFacts {
        self.layer_facts
    }

    fn ffns(&self) -> Vec<&Ffn> {
        Vec::new()
    }

    fn with_ffns(&self, _: Vec<Ffn>) -> Box<dyn Model> {
        Box::new(self.clone())
    }

    fn mixers(&self) -> Vec<&Mixer> {
        self.layers.iter().map(|layer| &layer.mixer).collect()
    }

    fn with_mixers(&self, mixers: Vec<Mixer>) -> Box<dyn Model> {
        let mut model = self.clone();
        for (layer, mixer) in model.layers.iter_mut().zip(mixers) {
            layer.mixer = mixer;
        }
        Box::new(model)
    }

    fn attentions(&self) -> Vec<&Attention> {
        Vec::new()
    }

    fn with_attentions(&self, _: Vec<Attention>) -> Box<dyn Model> {
        Box::new(self.clone())
    }

    fn linears(&self, layer: usize) -> Vec<MatrixUse<'_>> {
        linears::uses(layer, self.layers[layer].mixer.linears())
    }

    fn map_linears(&self, map: &mut LinearMapper<'_>) -> Box<dyn Model> {
        let (mut model, mut mapping) = (self.clone(), Mapping::new(map));
        for (index, layer) in model.layers.iter_mut().enumerate() {
            mapping.layer(index, layer.mixer.linears_mut());
        }
        Box::new(model)
    }

    fn map_vocabulary(&self, map: &mut dyn FnMut(&Tensor<2>) -> Tensor<2>) -> Box<dyn Model> {
        let mut model = self.clone();
        map_tables(&mut model.embedding, &mut model.head, map);
        Box::new(model)
    }

    fn rotated(&self, rotation: &Tensor<2>) -> Result<Rotated, RotationError> {
        self.turned(rotation)
    }

    fn save(&self, layers: &[usize]) -> Result<Saved, SaveError> {
        self.saved(layers)
    }

    fn new_cache(&self) -> Cache {
        Cache::empty(0, self.layers.len())
    }

    fn start(&self, batch: &Batch) -> Result<Tensor<2>, ExecutorError> {
        check_batch(batch, &self.facts)?;
        Ok(embed(&self.embedding, batch.ids().iter().map(|id| *id as usize)))
    }

    fn through(
        &self,
        layers: Range<usize>,
        mut x: Tensor<2>,
        batch: &Batch,
        mut past: Option<&mut Cache>,
        executor: &mut dyn Executor,
    ) -> Result<Tensor<2>, ExecutorError> {
        for index in layers {
            let layer = &self.layers[index];
            let past = past.as_deref_mut().map(|past| &mut past.recurrent[index]);
            let (normed, residual) = layer.norm.forward(x);
            x = residual + layer.mixer.forward(normed, [index, index], batch, past, executor)?;
            x = executor.layer_end(&LayerEnd { layer: index, model: self, batch }, x)?;
        }
        Ok(x)
    }

    fn finish(&self, x: Tensor<2>) -> Tensor<2> {
        self.norm.forward(x).0
    }

    fn logits_of(&self, hidden: Tensor<2>, ids: Range<usize>) -> Tensor<2> {
        head_product(hidden, &self.head, ids)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::StateFacts, *};
    use serde_json::{Map, json};
    use std::path::Path;

    fn fields(value: Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    /// state-spaces/mamba2-130m, as published.
    fn published() -> Map<String, Value> {
        fields(json!({
            "d_model": 768, "d_intermediate": 0, "n_layer": 24, "vocab_size": 50277,
            "ssm_cfg": {"layer": "Mamba2"}, "attn_layer_idx": [], "attn_cfg": {},
            "rms_norm": true, "residual_in_fp32": true, "fused_add_norm": true,
            "pad_vocab_size_multiple": 16, "tie_embeddings": true,
        }))
    }

    type Read = fn(&HubConfig) -> Result<Box<dyn Blueprint>, LoadError>;

    fn facts(read: Read, fields: Map<String, Value>) -> ModelFacts {
        let config = HubConfig::from_fields(Path::new("config.json"), fields);
        read(&config).unwrap_or_else(|e| panic!("{e}")).facts()
    }

    fn refusal(read: Read, mut fields: Map<String, Value>, field: &str, value: Value) -> String {
        fields.insert(field.to_owned(), value);
        let config = HubConfig::from_fields(Path::new("config.json"), fields);
        match read(&config) {
            Ok(_) => panic!("{field} was taken"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn original_defaults() {
        let facts = facts(read_original, published());
        assert_eq!((facts.vocabulary, facts.parameters), (50_288, 128_989_632));
        let state = StateFacts { sites: 24, heads: 24, head_dim: 64, groups: 1, channels: 128 };
        assert_eq!(facts.state, Some(state));
    }

    #[test]
    fn original_refuses_by_field() {
        for (field, value, named) in [
            ("attn_layer_idx", json!([9]), "attn_layer_idx"),
            ("d_intermediate", json!(1536), "d_intermediate"),
            ("rms_norm", json!(false), "rms_norm"),
            ("ssm_cfg", json!({}), "ssm_cfg.layer"),
            ("ssm_cfg", json!({"layer": "Mamba1"}), "ssm_cfg.layer"),
            ("ssm_cfg", json!({"layer": "Mamba2", "d_ssm": 64}), "ssm_cfg.d_ssm"),
            ("ssm_cfg", json!({"layer": "Mamba2", "rmsnorm": false}), "ssm_cfg.rmsnorm"),
            ("ssm_cfg", json!({"layer": "Mamba2", "headdim": 100}), "ssm_cfg.headdim"),
            ("ssm_cfg", json!({"layer": "Mamba2", "ngroups": 5}), "ssm_cfg.ngroups"),
            ("ssm_cfg", json!({"layer": "Mamba2", "dt_rank": 48}), "ssm_cfg.dt_rank"),
            ("ssm_cfg", json!({"layer": "Mamba2", "dt_limit": [1, 0]}), "ssm_cfg.dt_limit"),
        ] {
            let error = refusal(read_original, published(), field, value);
            assert!(error.contains(&format!("field `{named}`")), "{error}");
        }
    }

    #[test]
    fn hub_refuses_by_field() {
        let good = fields(json!({
            "hidden_size": 24, "num_hidden_layers": 2, "vocab_size": 61, "num_heads": 8,
            "head_dim": 6, "n_groups": 2, "state_size": 10,
        }));
        assert_eq!(facts(read, good.clone()).state.map(|s| s.entries()), Some(2 * 48 * 10));
        for (field, value) in [
            ("hidden_act", json!("gelu")),
            ("num_heads", json!(7)),
            ("n_groups", json!(3)),
            ("time_step_limit", json!([0.0])),
            ("time_step_limit", json!("NaN")),
            ("rms_norm", json!(false)),
        ] {
            let error = refusal(read, good.clone(), field, value);
            assert!(error.contains(&format!("field `{field}`")), "{error}");
        }
    }
}
