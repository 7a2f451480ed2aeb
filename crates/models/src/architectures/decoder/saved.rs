//! The shared decoder as a checkpoint.

use super::{Decoder, Layer, Norms};
use crate::{
    AttentionShape, SaveError, Saved, SavedDecoder,
    nn::{RmsNorm, Rope},
    saved::one_width,
};

impl Decoder {
    /// Only these layers, in this order.
    pub(super) fn saved(&self, layers: &[usize]) -> Result<Saved, SaveError> {
        let mut saved = Saved::default();
        saved.matrix("model.embed_tokens.weight", &self.embedding);
        for (number, layer) in layers.iter().enumerate() {
            self.save_layer(&self.layers[*layer], &format!("model.layers.{number}"), &mut saved);
        }
        self.save_norm("model.norm", &self.norm, &mut saved);
        if !self.config.tie_word_embeddings {
            saved.matrix("lm_head.weight", &self.head);
        }
        saved.field("num_hidden_layers", layers.len());
        saved.field("tie_word_embeddings", self.config.tie_word_embeddings);
        let widths = layers.iter().map(|layer| self.layers[*layer].ffn.neurons());
        if let Some(neurons) = one_width("intermediate_size", widths)? {
            saved.field("intermediate_size", neurons);
        }
        self.save_heads(layers, &mut saved)?;
        self.save_windows(layers, &mut saved);
        saved.decoder = Some(self.saved_decoder(layers));
        Ok(saved)
    }

    fn saved_decoder(&self, layers: &[usize]) -> SavedDecoder {
        let config = &self.config;
        SavedDecoder {
            positions: config.max_position_embeddings,
            // Layers have equally many, or there would be no fields.
            heads: layers.first().map_or(config.heads, |layer| self.shape(*layer).heads),
            kv_heads: layers.first().map_or(config.kv_heads, |layer| self.shape(*layer).kv_heads),
            head_dim: config.head_dim,
            rms_norm_eps: config.rms_norm_eps,
            activation: config.activation,
            scale: config.scale,
            windows: layers.iter().map(|layer| config.layers[*layer].window).collect(),
            ropes: config.ropes.iter().map(Rope::saved).collect(),
        }
    }

    fn shape(&self, layer: usize) -> AttentionShape {
        self.layers[layer].attention.shape()
    }

    /// What follows from heads that were cut; nothing where all are there, so that a config stays as it is.
    fn save_heads(&self, layers: &[usize], saved: &mut Saved) -> Result<(), SaveError> {
        let all = [self.config.heads, self.config.kv_heads];
        let of = |layer: &usize| [self.shape(*layer).heads, self.shape(*layer).kv_heads];
        if layers.iter().all(|layer| of(layer) == all) {
            return Ok(());
        }
        let heads = one_width("num_attention_heads", layers.iter().map(|own| of(own)[0]))?;
        let kv_heads = one_width("num_key_value_heads", layers.iter().map(|own| of(own)[1]))?;
        for (name, count) in [("num_attention_heads", heads), ("num_key_value_heads", kv_heads)] {
            saved.field(name, count.unwrap_or_default());
        }
        // It does not follow from the width of the stream any more.
        saved.field("head_dim", self.config.head_dim);
        Ok(())
    }

    fn save_norm(&self, name: &str, norm: &RmsNorm, saved: &mut Saved) {
        let name = format!("{name}.weight");
        match self.config.norms {
            Norms::Before => saved.vector(name, &norm.weight),
            Norms::AroundLess1 => saved.vector_less_one(name, &norm.weight),
        }
    }

    fn save_layer(&self, layer: &Layer, at: &str, saved: &mut Saved) {
        let Layer { attention_norm, attention, ffn_norm, ffn, after } = layer;
        let norm = |name: &str, norm: &RmsNorm, saved: &mut Saved| {
            self.save_norm(&format!("{at}.{name}"), norm, saved);
        };
        norm("input_layernorm", attention_norm, saved);
        let own = format!("{at}.self_attn");
        saved.linear(&format!("{own}.q_proj"), &attention.query);
        saved.linear(&format!("{own}.k_proj"), &attention.key);
        saved.linear(&format!("{own}.v_proj"), &attention.value);
        saved.linear(&format!("{own}.o_proj"), &attention.output);
        if let Some([query, key]) = &attention.norms {
            norm("self_attn.q_norm", query, saved);
            norm("self_attn.k_norm", key, saved);
        }
        match after {
            None => norm("post_attention_layernorm", ffn_norm, saved),
            Some([after_attention, after_ffn]) => {
                norm("post_attention_layernorm", after_attention, saved);
                norm("pre_feedforward_layernorm", ffn_norm, saved);
                norm("post_feedforward_layernorm", after_ffn, saved);
            }
        }
        if let Some(gate) = &ffn.gate {
            saved.linear(&format!("{at}.mlp.gate_proj"), gate);
        }
        saved.linear(&format!("{at}.mlp.up_proj"), &ffn.up);
        saved.linear(&format!("{at}.mlp.down_proj"), &ffn.down);
    }

    /// Which layers see a window only. A list says it for each, so where layers went, rules that go by
    /// their numbers must not be there any more.
    fn save_windows(&self, layers: &[usize], saved: &mut Saved) {
        let kind = |layer: &usize| match self.config.layers[*layer].window {
            Some(_) => "sliding_attention",
            None => "full_attention",
        };
        let has_windows = self.config.layers.iter().any(|layer| layer.window.is_some());
        if has_windows || self.config.norms == Norms::AroundLess1 {
            saved.field("layer_types", layers.iter().map(kind).collect::<Vec<_>>());
        } else {
            saved.gone.push("layer_types");
        }
        if layers.len() != self.layers.len() {
            saved.gone.extend(["max_window_layers", "sliding_window_pattern"]);
        }
    }
}
