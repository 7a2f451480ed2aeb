//! OPT and GPT-2 as checkpoints.

use super::{Layer, PositionalDecoder};
use crate::{Linear, SaveError, Saved, saved::one_width};

/// What a family calls its tensors and fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    /// For messages.
    pub(crate) family: &'static str,
    /// What all names but the head's start with: with its dot, or nothing.
    pub(crate) at: &'static str,
    pub(crate) embedding: &'static str,
    pub(crate) positions: &'static str,
    pub(crate) layers: &'static str,
    /// Before attention and before the block.
    pub(crate) norms: [&'static str; 2],
    pub(crate) attention: AttentionNames,
    pub(crate) output: &'static str,
    /// Up and down.
    pub(crate) ffn: [&'static str; 2],
    pub(crate) last_norm: &'static str,
    /// The fields of `config.json` that count layers and neurons.
    pub(crate) counts: [&'static str; 2],
}

/// How queries, keys and values are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AttentionNames {
    /// A matrix each.
    Apart([&'static str; 3]),
    /// As one, which is stored input first, as every matrix of the family is.
    Fused(&'static str),
}

impl Names {
    fn linear(&self, name: &str, linear: &Linear, saved: &mut Saved) {
        match self.attention {
            AttentionNames::Apart(_) => saved.linear(name, linear),
            AttentionNames::Fused(_) => saved.linears_input_first(name, &[linear]),
        }
    }

    fn layer(&self, layer: &Layer, at: &str, saved: &mut Saved) {
        let Layer { attention_norm, attention, ffn_norm, ffn } = layer;
        let [before_attention, before_ffn] = self.norms;
        saved.layer_norm(&format!("{at}.{before_attention}"), attention_norm);
        let parts = [&attention.query, &attention.key, &attention.value];
        match self.attention {
            AttentionNames::Apart(names) => {
                for (name, part) in names.into_iter().zip(parts) {
                    saved.linear(&format!("{at}.{name}"), part);
                }
            }
            AttentionNames::Fused(name) => {
                saved.linears_input_first(&format!("{at}.{name}"), &parts);
            }
        }
        self.linear(&format!("{at}.{}", self.output), &attention.output, saved);
        saved.layer_norm(&format!("{at}.{before_ffn}"), ffn_norm);
        for (name, linear) in self.ffn.into_iter().zip([&ffn.up, &ffn.down]) {
            self.linear(&format!("{at}.{name}"), linear, saved);
        }
    }
}

impl PositionalDecoder {
    /// Only these layers, in this order.
    pub(super) fn saved(&self, layers: &[usize]) -> Result<Saved, SaveError> {
        let (names, at, mut saved) = (&self.names, self.names.at, Saved::default());
        let leaves = self.projections.as_ref().and_then(|[_, leave]| leave.bias.as_ref());
        if self.head_bias.is_some() || leaves.is_some() {
            return Err(SaveError::Rotated { family: names.family });
        }
        if layers.iter().any(|layer| !self.layers[*layer].attention.is_square()) {
            return Err(SaveError::Heads { family: names.family });
        }
        saved.matrix(format!("{at}{}.weight", names.embedding), &self.embedding);
        saved.matrix(format!("{at}{}.weight", names.positions), &self.positions);
        if let Some([enter, leave]) = &self.projections {
            saved.linear(&format!("{at}project_in"), enter);
            saved.linear(&format!("{at}project_out"), leave);
        }
        for (number, layer) in layers.iter().enumerate() {
            let at = format!("{at}{}.{number}", names.layers);
            names.layer(&self.layers[*layer], &at, &mut saved);
        }
        if let Some(norm) = &self.norm {
            saved.layer_norm(&format!("{at}{}", names.last_norm), norm);
        }
        if !self.tied {
            saved.matrix("lm_head.weight", &self.head);
        }
        let [count, neurons] = names.counts;
        saved.field(count, layers.len());
        saved.field("tie_word_embeddings", self.tied);
        let widths = layers.iter().map(|layer| self.layers[*layer].ffn.neurons());
        if let Some(width) = one_width(neurons, widths)? {
            saved.field(neurons, width);
        }
        Ok(saved)
    }
}
