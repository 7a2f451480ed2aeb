//! Gemma 3, text only: GeGLU blocks, norms before and after each part, local and global layers with
//! frequencies of their own (Gemma Team 2025, arXiv:2503.19786).

use super::{
    Blueprint, HubConfig,
    decoder::{DecoderConfig, LayerKind, Norms},
};
use crate::{
    error::LoadError,
    nn::{Rope, RopeScaling},
};

/// Indices of the two kinds of frequencies.
const GLOBAL: usize = 0;
const LOCAL: usize = 1;

pub(crate) fn read(config: &HubConfig) -> Result<Box<dyn Blueprint>, LoadError> {
    for field in ["final_logit_softcapping", "attn_logit_softcapping"] {
        config.require_absent(field)?;
    }
    config.require_flag("use_bidirectional_attention", false, false)?;
    let plain = DecoderConfig::from_hub(config)?;
    let attention_bias = config.flag_or("attention_bias", false)?;
    let every = config.count_or("sliding_window_pattern", 6)?;
    let local =
        config.windowed_layers(plain.layers.len(), |layer| !(layer + 1).is_multiple_of(every))?;
    let window = config.count_or("sliding_window", 4096)?;
    let kinds = local.into_iter().map(|local| LayerKind {
        window: local.then_some(window),
        rope: if local { LOCAL } else { GLOBAL },
    });
    let scalar = config.real_or("query_pre_attn_scalar", 256.0)?;
    Ok(Box::new(DecoderConfig {
        tie_word_embeddings: config.flag_or("tie_word_embeddings", true)?,
        activation: config.activation_or("hidden_activation", "gelu_pytorch_tanh")?,
        qkv_bias: attention_bias,
        output_bias: attention_bias,
        head_norms: true,
        scale: (1.0 / scalar.sqrt()) as f32,
        embedding_scale: (plain.hidden_size as f64).sqrt(),
        norms: Norms::AroundLess1,
        layers: kinds.collect(),
        ropes: vec![
            config.rope(plain.head_dim, 1_000_000.0, Some("full_attention"))?,
            local_rope(config, plain.head_dim)?,
        ],
        ..plain
    }))
}

/// Older files keep the local base in a field of its own, never scaled.
fn local_rope(config: &HubConfig, head_dim: usize) -> Result<Rope, LoadError> {
    const THETA: f64 = 10_000.0;
    let kind = "sliding_attention";
    if config.get("rope_parameters").is_some_and(|parameters| parameters.get(kind).is_some()) {
        return config.rope(head_dim, THETA, Some(kind));
    }
    let theta = config.real_or("rope_local_base_freq", THETA)?;
    Ok(Rope::new(head_dim, theta, RopeScaling::None))
}
