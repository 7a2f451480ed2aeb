//! The decoder that Llama, Mistral, Qwen2, Qwen3 and Gemma 3 share: RMS norms, rotary positions, grouped
//! heads, gated blocks. What tells them apart is in [`DecoderConfig`]; each has a file that fills it.

mod rotated;
mod saved;
mod sizes;

use std::ops::Range;

use burn::tensor::Tensor;
use vector::Rotary;

use super::{
    Blueprint, ClassDefaults, HubConfig, LayerFacts, Model, ModelFacts, Rotated, check_batch,
    embed, head_product, map_tables,
};
use crate::{
    Activation, Batch, Cache, Executor, ExecutorError, Ffn, FfnSite, LayerEnd, Linear,
    LinearMapper, MatrixUse, Mixer, RotationError, SaveError, Saved,
    error::LoadError,
    linears::{self, Mapping},
    nn::{Attention, AttentionShape, RmsNorm, Rope},
    weights::{Dim, Weights},
};

/// A checked config; all sizes are counts.
#[derive(Clone, Debug)]
pub(crate) struct DecoderConfig {
    pub(crate) vocab_size: usize,
    pub(crate) hidden_size: usize,
    pub(crate) intermediate_size: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) rms_norm_eps: f64,
    pub(crate) max_position_embeddings: usize,
    pub(crate) tie_word_embeddings: bool,
    pub(crate) activation: Activation,
    /// Biases of queries, keys and values.
    pub(crate) qkv_bias: bool,
    /// Bias of the attention's output projection.
    pub(crate) output_bias: bool,
    /// Biases of the feed-forward block.
    pub(crate) ffn_bias: bool,
    /// Norms of every query and key head.
    pub(crate) head_norms: bool,
    /// Factor of the attention scores.
    pub(crate) scale: f32,
    /// Factor of the embeddings.
    pub(crate) embedding_scale: f64,
    /// The family's habits with norms.
    pub(crate) norms: Norms,
    /// One entry a layer.
    pub(crate) layers: Vec<LayerKind>,
    /// Frequencies that [`LayerKind::rope`] points at.
    pub(crate) ropes: Vec<Rope>,
}

/// What differs from layer to layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerKind {
    /// Tokens that a query sees at most.
    pub(crate) window: Option<usize>,
    /// Index into the frequencies.
    pub(crate) rope: usize,
}

/// Where norms stand and how their weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Norms {
    /// Before attention and before the block.
    Before,
    /// Gemma: also after each of them, and every weight is stored less 1.
    AroundLess1,
}

impl DecoderConfig {
    /// The fields that all of the family have under the same name; activation and frequencies are not
    /// among them.
    pub(crate) fn from_hub(
        config: &HubConfig,
        defaults: &ClassDefaults,
    ) -> Result<Self, LoadError> {
        let hidden_size = config.count("hidden_size")?;
        let [heads, kv_heads, head_dim] = config.heads(hidden_size, defaults)?;
        let layers = config.layers("num_hidden_layers")?;
        Ok(Self {
            vocab_size: config.count("vocab_size")?,
            hidden_size,
            intermediate_size: config.count("intermediate_size")?,
            heads,
            kv_heads,
            head_dim,
            rms_norm_eps: config.real_or("rms_norm_eps", 1e-6)?,
            max_position_embeddings: config
                .count_or("max_position_embeddings", defaults.positions)?,
            tie_word_embeddings: config.flag_or("tie_word_embeddings", defaults.tied)?,
            activation: Activation::Silu,
            qkv_bias: false,
            output_bias: false,
            ffn_bias: false,
            head_norms: false,
            scale: AttentionShape::new(heads, kv_heads, head_dim).scale,
            embedding_scale: 1.0,
            norms: Norms::Before,
            layers: vec![LayerKind { window: None, rope: 0 }; layers],
            ropes: Vec::new(),
        })
    }

    /// The same for families whose layers all turn by the same frequencies and whose activation is
    /// `hidden_act`.
    pub(crate) fn uniform(config: &HubConfig, defaults: &ClassDefaults) -> Result<Self, LoadError> {
        let plain = Self::from_hub(config, defaults)?;
        Ok(Self {
            activation: config.activation_or("hidden_act", "silu")?,
            ropes: vec![config.rope(plain.head_dim, plain.max_position_embeddings)?],
            ..plain
        })
    }

    /// Lets some layers see a window only.
    pub(crate) fn set_window(&mut self, window: usize, windowed: &[bool]) {
        for (layer, windowed) in self.layers.iter_mut().zip(windowed) {
            layer.window = windowed.then_some(window);
        }
    }
}

impl Blueprint for DecoderConfig {
    fn facts(&self) -> ModelFacts {
        self.sizes()
    }

    fn load(&self, w: &mut Weights<'_>) -> Result<Box<dyn Model>, LoadError> {
        let d_model = Dim("hidden_size", self.hidden_size);
        let vocabulary = Dim("vocab_size", self.vocab_size);
        let (tied, name) = (self.tie_word_embeddings, "model.embed_tokens.weight");
        let embedding = w.embedding(tied, name, [vocabulary, d_model])?;
        let layers = (0..self.layers.len())
            .map(|layer| self.load_layer(layer, w))
            .collect::<Result<Vec<_>, _>>()?;
        let norm = self.load_norm(w, "model.norm.weight", d_model)?;
        let head = w.head(tied, (name, &embedding), [vocabulary, d_model])?;
        let buffers = ["model.rotary_emb.inv_freq", "model.rotary_emb_local.inv_freq"];
        for (buffer, rope) in buffers.into_iter().zip(&self.ropes) {
            w.frequencies(buffer, rope)?;
        }
        Ok(Box::new(Decoder { config: self.clone(), embedding, layers, norm, head }))
    }
}

impl DecoderConfig {
    fn load_norm(&self, w: &mut Weights<'_>, name: &str, width: Dim) -> Result<RmsNorm, LoadError> {
        let mut weight = w.vector(name, width)?;
        if self.norms == Norms::AroundLess1 {
            weight = weight + 1.0;
        }
        Ok(RmsNorm { weight, epsilon: self.rms_norm_eps })
    }

    fn load_layer(&self, layer: usize, w: &mut Weights<'_>) -> Result<Layer, LoadError> {
        let at = format!("model.layers.{layer}");
        let attention = self.load_attention(layer, &format!("{at}.self_attn"), w)?;
        let ffn = self.load_ffn(&format!("{at}.mlp"), w)?;
        let mut norm = |name: &str| {
            self.load_norm(w, &format!("{at}.{name}.weight"), Dim("hidden_size", self.hidden_size))
        };
        // The same name stands before the block in one habit and after the attention in the other.
        let (ffn_norm, after) = match self.norms {
            Norms::Before => (norm("post_attention_layernorm")?, None),
            Norms::AroundLess1 => {
                let after =
                    [norm("post_attention_layernorm")?, norm("post_feedforward_layernorm")?];
                (norm("pre_feedforward_layernorm")?, Some(after))
            }
        };
        Ok(Layer { attention_norm: norm("input_layernorm")?, attention, ffn_norm, ffn, after })
    }

    fn load_attention(
        &self,
        layer: usize,
        at: &str,
        w: &mut Weights<'_>,
    ) -> Result<Attention, LoadError> {
        let d_model = Dim("hidden_size", self.hidden_size);
        let q_width = Dim("num_attention_heads·head_dim", self.heads * self.head_dim);
        let kv_width = Dim("num_key_value_heads·head_dim", self.kv_heads * self.head_dim);
        let mut linear =
            |name: &str, from, to, bias| w.linear(&format!("{at}.{name}"), from, to, bias);
        let query = linear("q_proj", d_model, q_width, self.qkv_bias)?;
        let key = linear("k_proj", d_model, kv_width, self.qkv_bias)?;
        let value = linear("v_proj", d_model, kv_width, self.qkv_bias)?;
        let output = linear("o_proj", q_width, d_model, self.output_bias)?;
        let mut norm = |name: &str| {
            self.load_norm(w, &format!("{at}.{name}.weight"), Dim("head_dim", self.head_dim))
        };
        let norms = match self.head_norms {
            true => Some([norm("q_norm")?, norm("k_norm")?]),
            false => None,
        };
        let rope = &self.ropes[self.layers[layer].rope];
        w.frequencies(&format!("{at}.rotary_emb.inv_freq"), rope)?;
        let shape = AttentionShape {
            scale: self.scale,
            window: self.layers[layer].window,
            ..AttentionShape::new(self.heads, self.kv_heads, self.head_dim)
        };
        Ok(Attention { query, key, value, output, norms, shape })
    }

    fn load_ffn(&self, at: &str, w: &mut Weights<'_>) -> Result<Ffn, LoadError> {
        let d_model = Dim("hidden_size", self.hidden_size);
        let neurons = Dim("intermediate_size", self.intermediate_size);
        let mut linear =
            |name: &str, from, to| w.linear(&format!("{at}.{name}"), from, to, self.ffn_bias);
        let gate = Some(linear("gate_proj", d_model, neurons)?);
        let down = linear("down_proj", neurons, d_model)?;
        let name = format!("{at}.up_proj");
        let up = match self.activation {
            // Behind a gate that is zero nothing need be read.
            Activation::Relu => w.linear_by_output(&name, d_model, neurons, self.ffn_bias)?,
            _ => w.linear(&name, d_model, neurons, self.ffn_bias)?,
        };
        Ok(Ffn { gate, up, down, activation: self.activation })
    }
}

#[derive(Clone, Debug)]
struct Layer {
    attention_norm: RmsNorm,
    attention: Attention,
    ffn_norm: RmsNorm,
    ffn: Ffn,
    /// Norms of what the attention and what the block add.
    after: Option<[RmsNorm; 2]>,
}

impl Layer {
    /// Its maps, those that read the same input together.
    fn linears(&self) -> Vec<Vec<&Linear>> {
        [self.attention.linears(), self.ffn.linears()].concat()
    }

    fn linears_mut(&mut self) -> Vec<Vec<&mut Linear>> {
        self.attention.linears_mut().into_iter().chain(self.ffn.linears_mut()).collect()
    }
}

/// `x += attention(norm(x)); x += ffn(norm(x))`, layer by layer.
#[derive(Clone, Debug)]
struct Decoder {
    config: DecoderConfig,
    /// `[vocabulary, d_model]`.
    embedding: Tensor<2>,
    layers: Vec<Layer>,
    norm: RmsNorm,
    /// `[vocabulary, d_model]`: `embedding` itself where the two are tied.
    head: Tensor<2>,
}

impl Model for Decoder {
    fn facts(&self) -> ModelFacts {
        self.config.facts()
    }

    fn layer_facts(&self, _: usize) -> LayerFacts {
        self.config.layer_facts()
    }

    fn ffns(&self) -> Vec<&Ffn> {
        self.layers.iter().map(|layer| &layer.ffn).collect()
    }

    fn with_ffns(&self, ffns: Vec<Ffn>) -> Box<dyn Model> {
        let mut model = self.clone();
        for (layer, ffn) in model.layers.iter_mut().zip(ffns) {
            layer.ffn = ffn;
        }
        Box::new(model)
    }

    fn with_mixers(&self, _: Vec<Mixer>) -> Box<dyn Model> {
        Box::new(self.clone())
    }

    fn attentions(&self) -> Vec<&Attention> {
        self.layers.iter().map(|layer| &layer.attention).collect()
    }

    fn with_attentions(&self, attentions: Vec<Attention>) -> Box<dyn Model> {
        let mut model = self.clone();
        for (layer, attention) in model.layers.iter_mut().zip(attentions) {
            layer.attention = attention;
        }
        Box::new(model)
    }

    fn linears(&self, layer: usize) -> Vec<MatrixUse<'_>> {
        linears::uses(layer, self.layers[layer].linears())
    }

    fn map_linears(&self, map: &mut LinearMapper<'_>) -> Box<dyn Model> {
        let (mut model, mut mapping) = (self.clone(), Mapping::new(map));
        for (index, layer) in model.layers.iter_mut().enumerate() {
            mapping.layer(index, layer.linears_mut());
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
        Cache::empty(self.layers.len(), 0)
    }

    fn start(&self, batch: &Batch) -> Result<Tensor<2>, ExecutorError> {
        check_batch(batch, &self.facts())?;
        let x = embed(&self.embedding, batch.ids().iter().map(|id| *id as usize));
        let scale = self.config.embedding_scale;
        Ok(if scale == 1.0 { x } else { x * scale })
    }

    fn through(
        &self,
        layers: Range<usize>,
        mut x: Tensor<2>,
        batch: &Batch,
        mut past: Option<&mut Cache>,
        executor: &mut dyn Executor,
    ) -> Result<Tensor<2>, ExecutorError> {
        let positions = batch.offset()..batch.offset() + batch.longest();
        let rotaries: Vec<Rotary> =
            self.config.ropes.iter().map(|rope| rope.turns(positions.clone())).collect();
        for index in layers {
            let layer = &self.layers[index];
            let rotary = &rotaries[self.config.layers[index].rope];
            let past = past.as_deref_mut().map(|past| &mut past.attention[index]);
            let (normed, residual) = layer.attention_norm.forward(x);
            let sites = [index, index];
            let mut change =
                layer.attention.forward(normed, sites, batch, Some(rotary), past, executor)?;
            if let Some([after_attention, _]) = &layer.after {
                change = after_attention.forward(change).0;
            }
            x = residual + change;
            let site = FfnSite { index, layer: index, ffn: &layer.ffn, batch };
            let (normed, residual) = layer.ffn_norm.forward(x);
            let mut change = executor.ffn(&site, normed)?;
            if let Some([_, after_ffn]) = &layer.after {
                change = after_ffn.forward(change).0;
            }
            x = residual + change;
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

/// What the tests of the families share.
#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    type Read = fn(&HubConfig) -> Result<DecoderConfig, LoadError>;

    /// A config of three layers with these fields besides.
    pub(crate) fn config(read: Read, fields: Value) -> Result<DecoderConfig, LoadError> {
        let mut all = json!({
            "hidden_size": 64, "intermediate_size": 24, "num_hidden_layers": 3,
            "num_attention_heads": 8, "vocab_size": 61,
        });
        let object = all.as_object_mut().expect("an object");
        object.extend(fields.as_object().expect("an object").clone());
        read(&HubConfig::from_fields(Path::new("config.json"), object.clone()))
    }

    /// The window of every layer.
    pub(crate) fn windows(read: Read, fields: Value) -> Vec<Option<usize>> {
        let config = config(read, fields).unwrap_or_else(|e| panic!("{e}"));
        config.layers.iter().map(|layer| layer.window).collect()
    }

    /// Why such a config is refused.
    pub(crate) fn refusal(read: Read, fields: Value) -> String {
        config(read, fields).expect_err("it is refused").to_string()
    }
}
