//! Llama-family decoders with SwiGLU blocks: Llama 2, SmolLM2 (Touvron et al. 2023,
//! arXiv:2307.09288).

use std::ops::Range;

use burn::tensor::Tensor;
use vector::Rotary;

use super::{HubConfig, Model, ModelFacts, check_batch, embed, head_product};
use crate::{
    Activation, Batch, Executor, ExecutorError, Ffn, FfnSite,
    error::LoadError,
    nn::{Attention, Positions, RmsNorm},
    weights::{Dim, Weights},
};

/// The fields of `config.json` that matter; all sizes are counts.
#[derive(Clone, Debug)]
pub(crate) struct LlamaConfig {
    pub(crate) vocab_size: usize,
    pub(crate) hidden_size: usize,
    pub(crate) intermediate_size: usize,
    pub(crate) num_hidden_layers: usize,
    pub(crate) num_attention_heads: usize,
    pub(crate) num_key_value_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) rms_norm_eps: f64,
    pub(crate) rope_theta: f64,
    pub(crate) max_position_embeddings: usize,
    pub(crate) tie_word_embeddings: bool,
}

impl LlamaConfig {
    pub(crate) fn from_hub(config: &HubConfig) -> Result<Self, LoadError> {
        let hidden_size = config.count("hidden_size")?;
        let heads = config.count("num_attention_heads")?;
        let kv_heads = config.count_or("num_key_value_heads", heads)?;
        if heads % kv_heads != 0 {
            return Err(config.bad(
                "num_key_value_heads",
                format!("is {kv_heads}, which does not divide num_attention_heads {heads}"),
            ));
        }
        let activation = config.text_or("hidden_act", "silu")?;
        if activation != "silu" {
            return Err(
                config.bad("hidden_act", format!("`{activation}` is not supported: silu is"))
            );
        }
        config.require_flag("attention_bias", false, false)?;
        config.require_flag("mlp_bias", false, false)?;
        let head_dim = config.count_or("head_dim", hidden_size / heads)?;
        if head_dim % 2 != 0 {
            return Err(config.bad("head_dim", format!("is {head_dim}, expected an even number")));
        }
        Ok(Self {
            vocab_size: config.count("vocab_size")?,
            hidden_size,
            intermediate_size: config.count("intermediate_size")?,
            num_hidden_layers: config.count("num_hidden_layers")?,
            num_attention_heads: heads,
            num_key_value_heads: kv_heads,
            head_dim,
            rms_norm_eps: config.real_or("rms_norm_eps", 1e-6)?,
            rope_theta: config.rope_theta(10_000.0)?,
            max_position_embeddings: config.count_or("max_position_embeddings", 2048)?,
            tie_word_embeddings: config.flag_or("tie_word_embeddings", false)?,
        })
    }

    pub(crate) fn facts(&self) -> ModelFacts {
        ModelFacts {
            vocabulary: self.vocab_size,
            d_model: self.hidden_size,
            layers: self.num_hidden_layers,
            neurons: self.intermediate_size,
            attention_width: self.num_attention_heads * self.head_dim,
            kv_width: self.num_key_value_heads * self.head_dim,
            gated: true,
            max_positions: self.max_position_embeddings,
        }
    }
}

#[derive(Clone, Debug)]
struct Layer {
    attention_norm: RmsNorm,
    attention: Attention,
    ffn_norm: RmsNorm,
    ffn: Ffn,
}

/// `x += attention(norm(x)); x += ffn(norm(x))`, layer by layer.
#[derive(Clone, Debug)]
pub(crate) struct Llama {
    config: LlamaConfig,
    /// `[vocabulary, d_model]`.
    embedding: Tensor<2>,
    layers: Vec<Layer>,
    norm: RmsNorm,
    /// `[vocabulary, d_model]`: `embedding` itself where the two are tied.
    head: Tensor<2>,
}

impl Llama {
    pub(crate) fn load(config: LlamaConfig, w: &mut Weights<'_>) -> Result<Self, LoadError> {
        let d_model = Dim("hidden_size", config.hidden_size);
        let vocabulary = Dim("vocab_size", config.vocab_size);
        let embedding = w.matrix("model.embed_tokens.weight", [vocabulary, d_model])?;
        let layers = (0..config.num_hidden_layers)
            .map(|layer| Layer::load(&config, w, &format!("model.layers.{layer}")))
            .collect::<Result<Vec<_>, _>>()?;
        let norm = rms_norm(&config, w, "model.norm.weight")?;
        let head = if config.tie_word_embeddings {
            w.ignore("lm_head.weight");
            embedding.clone()
        } else {
            w.matrix("lm_head.weight", [vocabulary, d_model])?
        };
        Ok(Self { config, embedding, layers, norm, head })
    }
}

fn rms_norm(config: &LlamaConfig, w: &mut Weights<'_>, name: &str) -> Result<RmsNorm, LoadError> {
    let weight = w.vector(name, Dim("hidden_size", config.hidden_size))?;
    Ok(RmsNorm { weight, epsilon: config.rms_norm_eps })
}

impl Layer {
    fn load(config: &LlamaConfig, w: &mut Weights<'_>, at: &str) -> Result<Self, LoadError> {
        let (heads, kv_heads) = (config.num_attention_heads, config.num_key_value_heads);
        let d_model = Dim("hidden_size", config.hidden_size);
        let neurons = Dim("intermediate_size", config.intermediate_size);
        let q_width = Dim("num_attention_heads·head_dim", heads * config.head_dim);
        let kv_width = Dim("num_key_value_heads·head_dim", kv_heads * config.head_dim);
        let mut linear = |name: &str, from, to| w.linear(&format!("{at}.{name}"), from, to, false);
        let attention = Attention {
            query: linear("self_attn.q_proj", d_model, q_width)?,
            key: linear("self_attn.k_proj", d_model, kv_width)?,
            value: linear("self_attn.v_proj", d_model, kv_width)?,
            output: linear("self_attn.o_proj", q_width, d_model)?,
            heads,
            kv_heads,
            head_dim: config.head_dim,
        };
        let ffn = Ffn {
            gate: Some(linear("mlp.gate_proj", d_model, neurons)?),
            up: linear("mlp.up_proj", d_model, neurons)?,
            down: linear("mlp.down_proj", neurons, d_model)?,
            activation: Activation::Silu,
        };
        Ok(Self {
            attention_norm: rms_norm(config, w, &format!("{at}.input_layernorm.weight"))?,
            attention,
            ffn_norm: rms_norm(config, w, &format!("{at}.post_attention_layernorm.weight"))?,
            ffn,
        })
    }
}

impl Model for Llama {
    fn facts(&self) -> ModelFacts {
        self.config.facts()
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

    fn forward(
        &self,
        batch: &Batch,
        executor: &mut dyn Executor,
    ) -> Result<Tensor<2>, ExecutorError> {
        check_batch(batch, &self.facts())?;
        let rotary = Rotary::new(self.config.head_dim, self.config.rope_theta, batch.longest());
        let positions = Positions::Rotary(rotary);
        let mut x = embed(&self.embedding, batch.ids().iter().map(|id| *id as usize));
        for (index, layer) in self.layers.iter().enumerate() {
            let (normed, residual) = layer.attention_norm.forward(x);
            x = residual + layer.attention.forward(normed, batch, &positions);
            let site = FfnSite { index, layer: index, ffn: &layer.ffn, batch };
            let (normed, residual) = layer.ffn_norm.forward(x);
            x = residual + executor.ffn(&site, normed)?;
        }
        Ok(self.norm.forward(x).0)
    }

    fn logits_of(&self, hidden: Tensor<2>, ids: Range<usize>) -> Tensor<2> {
        head_product(hidden, &self.head, ids)
    }
}
