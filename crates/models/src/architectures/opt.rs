//! OPT decoders: ReLU blocks, learned positions, LayerNorm, biases everywhere (Zhang et al. 2022,
//! arXiv:2205.01068).

use std::ops::Range;

use burn::tensor::Tensor;

use super::{HubConfig, Model, ModelFacts, check_batch, embed, head_product};
use crate::{
    Activation, Batch, Executor, ExecutorError, Ffn, FfnSite,
    error::LoadError,
    nn::{Attention, LayerNorm, Positions},
    weights::{Dim, Weights},
};

/// Rows of the position table in front of position 0: a habit of its first implementation.
const POSITION_OFFSET: usize = 2;

/// The fields of `config.json` that matter; all sizes are counts.
#[derive(Clone, Debug)]
pub(crate) struct OptConfig {
    pub(crate) vocab_size: usize,
    pub(crate) hidden_size: usize,
    pub(crate) ffn_dim: usize,
    pub(crate) num_hidden_layers: usize,
    pub(crate) num_attention_heads: usize,
    pub(crate) max_position_embeddings: usize,
    pub(crate) tie_word_embeddings: bool,
}

impl OptConfig {
    pub(crate) fn from_hub(config: &HubConfig) -> Result<Self, LoadError> {
        let hidden_size = config.count("hidden_size")?;
        let heads = config.count("num_attention_heads")?;
        if hidden_size % heads != 0 {
            return Err(config.bad(
                "num_attention_heads",
                format!("is {heads}, which does not divide hidden_size {hidden_size}"),
            ));
        }
        let activation = config.text_or("activation_function", "relu")?;
        if activation != "relu" {
            return Err(config
                .bad("activation_function", format!("`{activation}` is not supported: relu is")));
        }
        let embedded = config.count_or("word_embed_proj_dim", hidden_size)?;
        if embedded != hidden_size {
            return Err(config.bad(
                "word_embed_proj_dim",
                format!("is {embedded}; only hidden_size ({hidden_size}) is supported"),
            ));
        }
        config.require_flag("do_layer_norm_before", true, true)?;
        config.require_flag("_remove_final_layer_norm", false, false)?;
        config.require_flag("enable_bias", true, true)?;
        config.require_flag("layer_norm_elementwise_affine", true, true)?;
        Ok(Self {
            vocab_size: config.count("vocab_size")?,
            hidden_size,
            ffn_dim: config.count("ffn_dim")?,
            num_hidden_layers: config.count("num_hidden_layers")?,
            num_attention_heads: heads,
            max_position_embeddings: config.count("max_position_embeddings")?,
            tie_word_embeddings: config.flag_or("tie_word_embeddings", true)?,
        })
    }

    pub(crate) fn facts(&self) -> ModelFacts {
        ModelFacts {
            vocabulary: self.vocab_size,
            d_model: self.hidden_size,
            layers: self.num_hidden_layers,
            neurons: self.ffn_dim,
            attention_width: self.hidden_size,
            kv_width: self.hidden_size,
            gated: false,
            max_positions: self.max_position_embeddings,
        }
    }
}

#[derive(Clone, Debug)]
struct Layer {
    attention_norm: LayerNorm,
    attention: Attention,
    ffn_norm: LayerNorm,
    ffn: Ffn,
}

/// `x = token + position; x += attention(norm(x)); x += ffn(norm(x))`, layer by layer.
#[derive(Clone, Debug)]
pub(crate) struct Opt {
    config: OptConfig,
    /// `[vocabulary, d_model]`.
    embedding: Tensor<2>,
    /// `[max_positions + 2, d_model]`.
    positions: Tensor<2>,
    layers: Vec<Layer>,
    norm: LayerNorm,
    /// `[vocabulary, d_model]`: `embedding` itself where the two are tied.
    head: Tensor<2>,
}

impl Opt {
    pub(crate) fn load(config: OptConfig, w: &mut Weights<'_>) -> Result<Self, LoadError> {
        // Checkpoints of the bare decoder leave the first word of the path away.
        let bare = w.has("decoder.embed_tokens.weight");
        let at = if bare { "decoder" } else { "model.decoder" };
        let d_model = Dim("hidden_size", config.hidden_size);
        let vocabulary = Dim("vocab_size", config.vocab_size);
        let rows = config.max_position_embeddings + POSITION_OFFSET;
        let rows = Dim("max_position_embeddings + 2", rows);
        let embedding = w.matrix(&format!("{at}.embed_tokens.weight"), [vocabulary, d_model])?;
        let positions = w.matrix(&format!("{at}.embed_positions.weight"), [rows, d_model])?;
        let layers = (0..config.num_hidden_layers)
            .map(|layer| Layer::load(&config, w, &format!("{at}.layers.{layer}")))
            .collect::<Result<Vec<_>, _>>()?;
        let norm = layer_norm(&config, w, &format!("{at}.final_layer_norm"))?;
        let head = if config.tie_word_embeddings {
            w.ignore("lm_head.weight");
            embedding.clone()
        } else {
            w.matrix("lm_head.weight", [vocabulary, d_model])?
        };
        Ok(Self { config, embedding, positions, layers, norm, head })
    }
}

fn layer_norm(config: &OptConfig, w: &mut Weights<'_>, at: &str) -> Result<LayerNorm, LoadError> {
    // The reference builds its norms with PyTorch's default epsilon and has no field for it.
    const EPSILON: f64 = 1e-5;
    let d_model = Dim("hidden_size", config.hidden_size);
    Ok(LayerNorm {
        weight: w.vector(&format!("{at}.weight"), d_model)?,
        bias: w.vector(&format!("{at}.bias"), d_model)?,
        epsilon: EPSILON,
    })
}

impl Layer {
    fn load(config: &OptConfig, w: &mut Weights<'_>, at: &str) -> Result<Self, LoadError> {
        let d_model = Dim("hidden_size", config.hidden_size);
        let neurons = Dim("ffn_dim", config.ffn_dim);
        let mut linear = |name: &str, from, to| w.linear(&format!("{at}.{name}"), from, to, true);
        let attention = Attention {
            query: linear("self_attn.q_proj", d_model, d_model)?,
            key: linear("self_attn.k_proj", d_model, d_model)?,
            value: linear("self_attn.v_proj", d_model, d_model)?,
            output: linear("self_attn.out_proj", d_model, d_model)?,
            heads: config.num_attention_heads,
            kv_heads: config.num_attention_heads,
            head_dim: config.hidden_size / config.num_attention_heads,
        };
        let ffn = Ffn {
            gate: None,
            up: linear("fc1", d_model, neurons)?,
            down: linear("fc2", neurons, d_model)?,
            activation: Activation::Relu,
        };
        Ok(Self {
            attention_norm: layer_norm(config, w, &format!("{at}.self_attn_layer_norm"))?,
            attention,
            ffn_norm: layer_norm(config, w, &format!("{at}.final_layer_norm"))?,
            ffn,
        })
    }
}

impl Model for Opt {
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
        let tokens = embed(&self.embedding, batch.ids().iter().map(|id| *id as usize));
        let rows = batch.positions().into_iter().map(|p| p + POSITION_OFFSET);
        let mut x = tokens + embed(&self.positions, rows);
        for (index, layer) in self.layers.iter().enumerate() {
            let normed = layer.attention_norm.forward(x.clone());
            x = x + layer.attention.forward(normed, batch, &Positions::Learned);
            let site = FfnSite { index, layer: index, ffn: &layer.ffn, batch };
            let normed = layer.ffn_norm.forward(x.clone());
            x = x + executor.ffn(&site, normed)?;
        }
        Ok(self.norm.forward(x))
    }

    fn logits_of(&self, hidden: Tensor<2>, ids: Range<usize>) -> Tensor<2> {
        head_product(hidden, &self.head, ids)
    }
}
