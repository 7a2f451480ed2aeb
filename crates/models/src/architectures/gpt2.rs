//! GPT-2: GELU blocks, learned positions, and matrices stored input first (Radford et al. 2019).

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

/// The fields of `config.json` that matter; all sizes are counts.
#[derive(Clone, Debug)]
struct Gpt2Config {
    vocab_size: usize,
    n_embd: usize,
    n_inner: usize,
    n_layer: usize,
    n_head: usize,
    n_positions: usize,
    layer_norm_epsilon: f64,
    activation: Activation,
    tie_word_embeddings: bool,
}

/// Other names of the fields, which transformers takes too.
pub(super) const SYNONYMS: [(&str, &str); 4] = [
    ("n_embd", "hidden_size"),
    ("n_head", "num_attention_heads"),
    ("n_layer", "num_hidden_layers"),
    ("n_positions", "max_position_embeddings"),
];

/// Of checkpoints that transformers writes.
const NAMES: Names = Names {
    family: "GPT-2",
    at: "transformer.",
    embedding: "wte",
    positions: "wpe",
    layers: "h",
    norms: ["ln_1", "ln_2"],
    attention: AttentionNames::Fused("attn.c_attn"),
    output: "attn.c_proj",
    ffn: ["mlp.c_fc", "mlp.c_proj"],
    last_norm: "ln_f",
    counts: ["n_layer", "n_inner"],
};

pub(crate) fn read(config: &HubConfig) -> Result<Box<dyn Blueprint>, LoadError> {
    let n_embd = config.count("n_embd")?;
    let n_head = config.count("n_head")?;
    if n_embd % n_head != 0 {
        let reason = format!("is {n_head}, which does not divide n_embd {n_embd}");
        return Err(config.bad("n_head", reason));
    }
    config.require_flag("scale_attn_weights", true, true)?;
    config.require_flag("scale_attn_by_inverse_layer_idx", false, false)?;
    config.require_flag("add_cross_attention", false, false)?;
    Ok(Box::new(Gpt2Config {
        vocab_size: config.count("vocab_size")?,
        n_embd,
        n_inner: config.count_or_null("n_inner", 4 * n_embd)?,
        n_layer: config.layers("n_layer")?,
        n_head,
        n_positions: config.count("n_positions")?,
        layer_norm_epsilon: config.real_or("layer_norm_epsilon", 1e-5)?,
        activation: config.activation_or("activation_function", "gelu_new")?,
        tie_word_embeddings: config.flag_or("tie_word_embeddings", true)?,
    }))
}

impl Gpt2Config {
    fn norm(&self, w: &mut Weights<'_>, at: &str) -> Result<LayerNorm, LoadError> {
        let d_model = Dim("n_embd", self.n_embd);
        w.layer_norm(at, d_model, self.layer_norm_epsilon)
    }

    fn layer(&self, w: &mut Weights<'_>, at: &str) -> Result<Layer, LoadError> {
        let (d_model, neurons) = (Dim("n_embd", self.n_embd), Dim("n_inner", self.n_inner));
        // Buffers of the first releases: the causal mask and what it puts in place.
        for attention in ["attn", "crossattention"] {
            w.silent_mask(&format!("{at}.{attention}.bias"));
            w.silent(&format!("{at}.{attention}.masked_bias"));
        }
        let fused = Dim("3·n_embd", 3 * self.n_embd);
        let fused = w.linear_input_first(&format!("{at}.attn.c_attn"), d_model, fused)?;
        let [query, key, value] = fused.split([self.n_embd; 3]);
        let mut linear =
            |name: &str, from, to| w.linear_input_first(&format!("{at}.{name}"), from, to);
        let head_dim = self.n_embd / self.n_head;
        let attention = Attention {
            query,
            key,
            value,
            output: linear("attn.c_proj", d_model, d_model)?,
            norms: None,
            shape: AttentionShape::new(self.n_head, self.n_head, head_dim),
        };
        let ffn = Ffn {
            gate: None,
            up: linear("mlp.c_fc", d_model, neurons)?,
            down: linear("mlp.c_proj", neurons, d_model)?,
            activation: self.activation,
        };
        Ok(Layer {
            attention_norm: self.norm(w, &format!("{at}.ln_1"))?,
            attention,
            ffn_norm: self.norm(w, &format!("{at}.ln_2"))?,
            ffn,
        })
    }
}

impl Blueprint for Gpt2Config {
    fn facts(&self) -> ModelFacts {
        let (d_model, neurons, layers) = (self.n_embd, self.n_inner, self.n_layer);
        let matrices = layers * (4 * d_model * d_model + 2 * d_model * neurons);
        let small = layers * (4 * d_model + 4 * d_model + neurons + d_model) + 2 * d_model;
        let table = self.vocab_size * d_model;
        let tables = if self.tie_word_embeddings { 1 } else { 2 };
        ModelFacts {
            vocabulary: self.vocab_size,
            d_model,
            layers,
            max_positions: self.n_positions,
            ffn_sites: layers,
            neurons,
            gated: false,
            state: None,
            attention_width: layers * d_model,
            heads: Some([self.n_head; 2]),
            parameters: matrices + small + tables * table + self.n_positions * d_model,
            multiplied: matrices + table,
        }
    }

    fn load(&self, w: &mut Weights<'_>) -> Result<Box<dyn Model>, LoadError> {
        // The first checkpoints leave the first word of the path away.
        let at = if w.has("wte.weight") || w.has("wpe.weight") { "" } else { "transformer." };
        let (d_model, vocabulary) =
            (Dim("n_embd", self.n_embd), Dim("vocab_size", self.vocab_size));
        let rows = Dim("n_positions", self.n_positions);
        let (tied, name) = (self.tie_word_embeddings, format!("{at}wte.weight"));
        let embedding = w.embedding(tied, &name, [vocabulary, d_model])?;
        let positions = w.matrix(&format!("{at}wpe.weight"), [rows, d_model])?;
        let layers = (0..self.n_layer)
            .map(|layer| self.layer(w, &format!("{at}h.{layer}")))
            .collect::<Result<Vec<_>, _>>()?;
        let norm = Some(self.norm(w, &format!("{at}ln_f"))?);
        let head = w.head(tied, (&name, &embedding), [vocabulary, d_model])?;
        Ok(Box::new(PositionalDecoder {
            facts: self.facts(),
            names: Names { at, ..NAMES },
            embedding,
            projections: None,
            positions,
            position_offset: 0,
            norm_first: true,
            layers,
            norm,
            head,
            tied,
            head_bias: None,
        }))
    }
}
