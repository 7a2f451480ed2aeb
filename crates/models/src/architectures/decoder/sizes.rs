//! Sizes that follow from the shared decoder's config.

use super::{DecoderConfig, Norms};
use crate::{LayerFacts, ModelFacts};

impl DecoderConfig {
    pub(super) fn sizes(&self) -> ModelFacts {
        let (layers, layer) = (self.layers.len(), self.layer_facts());
        let table = self.vocab_size * self.hidden_size;
        let tables = if self.tie_word_embeddings { 1 } else { 2 };
        ModelFacts {
            vocabulary: self.vocab_size,
            d_model: self.hidden_size,
            layers,
            max_positions: self.max_position_embeddings,
            ffn_sites: layers,
            neurons: self.intermediate_size,
            gated: true,
            state: None,
            attention_width: layers * layer.attention_width,
            heads: Some([self.heads, self.kv_heads]),
            parameters: layers * layer.parameters + tables * table + self.hidden_size,
            multiplied: layers * layer.multiplied + table,
        }
    }

    /// Every layer has the same sizes.
    pub(super) fn layer_facts(&self) -> LayerFacts {
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let attention = 2 * self.hidden_size * (q + kv);
        let matrices = attention + 3 * self.hidden_size * self.intermediate_size;
        let biases = usize::from(self.qkv_bias) * (q + 2 * kv)
            + usize::from(self.output_bias) * self.hidden_size
            + usize::from(self.ffn_bias) * (2 * self.intermediate_size + self.hidden_size);
        let norms = if self.norms == Norms::Before { 2 } else { 4 };
        let norms = norms * self.hidden_size + usize::from(self.head_norms) * 2 * self.head_dim;
        LayerFacts {
            parameters: matrices + biases + norms,
            unmapped: norms,
            multiplied: matrices,
            attention_width: q,
            attentions: 1,
            ffn_sites: 1,
            ..LayerFacts::default()
        }
    }
}
