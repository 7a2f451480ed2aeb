//! OPT decoders: ReLU blocks, learned positions, LayerNorm, biases everywhere (Zhang et al. 2022,
//! arXiv:2205.01068). OPT-350m alone has its norms after the sums and a narrower embedding.

use super::{
    Blueprint, HubConfig, Model, ModelFacts,
    positional::{AttentionNames, Layer, Names, PositionalDecoder},
};
use crate::{
    Activation, Ffn,
    error::LoadError,
    nn::{Attention, AttentionShape, LayerNorm},
    weights::{Dim, Weights},
};

/// Rows of the position table in front of position 0: a habit of its first implementation.
const POSITION_OFFSET: usize = 2;

/// The fields of `config.json` that matter; all sizes are counts.
#[derive(Clone, Debug)]
struct OptConfig {
    vocab_size: usize,
    hidden_size: usize,
    word_embed_proj_dim: usize,
    ffn_dim: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    max_position_embeddings: usize,
    tie_word_embeddings: bool,
    activation: Activation,
    do_layer_norm_before: bool,
    final_norm: bool,
}

/// Of checkpoints of the class with a head.
const NAMES: Names = Names {
    family: "OPT",
    at: "model.decoder.",
    embedding: "embed_tokens",
    positions: "embed_positions",
    layers: "layers",
    norms: ["self_attn_layer_norm", "final_layer_norm"],
    attention: AttentionNames::Apart(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    output: "self_attn.out_proj",
    ffn: ["fc1", "fc2"],
    last_norm: "final_layer_norm",
    counts: ["num_hidden_layers", "ffn_dim"],
};

pub(crate) fn read(config: &HubConfig) -> Result<Box<dyn Blueprint>, LoadError> {
    let hidden_size = config.count("hidden_size")?;
    let heads = config.count("num_attention_heads")?;
    if hidden_size % heads != 0 {
        let reason = format!("is {heads}, which does not divide hidden_size {hidden_size}");
        return Err(config.bad("num_attention_heads", reason));
    }
    config.require_flag("enable_bias", true, true)?;
    config.require_flag("layer_norm_elementwise_affine", true, true)?;
    let do_layer_norm_before = config.flag_or("do_layer_norm_before", true)?;
    let remove_norm = config.flag_or("_remove_final_layer_norm", false)?;
    Ok(Box::new(OptConfig {
        vocab_size: config.count("vocab_size")?,
        hidden_size,
        word_embed_proj_dim: config.count_or_null("word_embed_proj_dim", hidden_size)?,
        ffn_dim: config.count("ffn_dim")?,
        num_hidden_layers: config.layers("num_hidden_layers")?,
        num_attention_heads: heads,
        max_position_embeddings: config.count("max_position_embeddings")?,
        tie_word_embeddings: config.flag_or("tie_word_embeddings", true)?,
        activation: config.activation_or("activation_function", "relu")?,
        do_layer_norm_before,
        final_norm: do_layer_norm_before && !remove_norm,
    }))
}

impl OptConfig {
    fn d_model(&self) -> Dim {
        Dim("hidden_size", self.hidden_size)
    }

    fn norm(&self, w: &mut Weights<'_>, at: &str) -> Result<LayerNorm, LoadError> {
        // The reference builds its norms with PyTorch's default epsilon and has no field for it.
        const EPSILON: f64 = 1e-5;
        w.layer_norm(at, self.d_model(), EPSILON)
    }

    fn layer(&self, w: &mut Weights<'_>, at: &str) -> Result<Layer, LoadError> {
        let (d_model, neurons) = (self.d_model(), Dim("ffn_dim", self.ffn_dim));
        let heads = self.num_attention_heads;
        let mut linear = |name: &str, from, to| w.linear(&format!("{at}.{name}"), from, to, true);
        let attention = Attention {
            query: linear("self_attn.q_proj", d_model, d_model)?,
            key: linear("self_attn.k_proj", d_model, d_model)?,
            value: linear("self_attn.v_proj", d_model, d_model)?,
            output: linear("self_attn.out_proj", d_model, d_model)?,
            norms: None,
            shape: AttentionShape::new(heads, heads, self.hidden_size / heads),
        };
        let ffn = Ffn {
            gate: None,
            up: linear("fc1", d_model, neurons)?,
            down: linear("fc2", neurons, d_model)?,
            activation: self.activation,
        };
        Ok(Layer {
            attention_norm: self.norm(w, &format!("{at}.self_attn_layer_norm"))?,
            attention,
            ffn_norm: self.norm(w, &format!("{at}.final_layer_norm"))?,
            ffn,
        })
    }
}

impl Blueprint for OptConfig {
    fn facts(&self) -> ModelFacts {
        let (d_model, embedded, neurons) =
            (self.hidden_size, self.word_embed_proj_dim, self.ffn_dim);
        let layers = self.num_hidden_layers;
        let matrices = layers * (4 * d_model * d_model + 2 * d_model * neurons);
        let small = layers * (4 * d_model + 4 * d_model + neurons + d_model)
            + usize::from(self.final_norm) * 2 * d_model;
        let table = self.vocab_size * embedded;
        let tables = if self.tie_word_embeddings { 1 } else { 2 };
        let projections = if embedded == d_model { 0 } else { 2 * embedded * d_model };
        let positions = (self.max_position_embeddings + POSITION_OFFSET) * d_model;
        ModelFacts {
            vocabulary: self.vocab_size,
            d_model,
            layers,
            max_positions: self.max_position_embeddings,
            ffn_sites: layers,
            neurons,
            gated: false,
            state: None,
            attention_width: layers * d_model,
            heads: Some([self.num_attention_heads; 2]),
            parameters: matrices + small + tables * table + projections + positions,
            multiplied: matrices + projections + table,
        }
    }

    fn load(&self, w: &mut Weights<'_>) -> Result<Box<dyn Model>, LoadError> {
        // Checkpoints of the bare decoder leave the first word of the path away.
        let bare = w.has("decoder.embed_positions.weight");
        let at = if bare { "decoder" } else { "model.decoder" };
        let d_model = self.d_model();
        let embedded = Dim("word_embed_proj_dim", self.word_embed_proj_dim);
        let vocabulary = Dim("vocab_size", self.vocab_size);
        let rows = self.max_position_embeddings + POSITION_OFFSET;
        let rows = Dim("max_position_embeddings + 2", rows);
        let (tied, name) = (self.tie_word_embeddings, format!("{at}.embed_tokens.weight"));
        let embedding = w.embedding(tied, &name, [vocabulary, embedded])?;
        // The version number of the code that the first checkpoints were converted from.
        w.silent(&format!("{at}.version"));
        let positions = w.matrix(&format!("{at}.embed_positions.weight"), [rows, d_model])?;
        let projections = match embedded.1 == d_model.1 {
            true => None,
            false => Some([
                w.linear(&format!("{at}.project_in"), embedded, d_model, false)?,
                w.linear(&format!("{at}.project_out"), d_model, embedded, false)?,
            ]),
        };
        let layers = (0..self.num_hidden_layers)
            .map(|layer| self.layer(w, &format!("{at}.layers.{layer}")))
            .collect::<Result<Vec<_>, _>>()?;
        let norm = match self.final_norm {
            true => Some(self.norm(w, &format!("{at}.final_layer_norm"))?),
            false => None,
        };
        let head = w.head(tied, (&name, &embedding), [vocabulary, embedded])?;
        Ok(Box::new(PositionalDecoder {
            facts: self.facts(),
            names: Names { at: if bare { "decoder." } else { NAMES.at }, ..NAMES },
            embedding,
            projections,
            positions,
            position_offset: POSITION_OFFSET,
            norm_first: self.do_layer_norm_before,
            layers,
            norm,
            head,
            tied,
            head_bias: None,
        }))
    }
}
