//! Llama-family decoders with SwiGLU blocks: Llama 2 and 3, SmolLM2 (Touvron et al. 2023,
//! arXiv:2307.09288), and the same shape with a ReLU gate, as the sparse checkpoints of "Sparser,
//! Faster, Lighter" have it (`hidden_act: relu`).

use super::{Blueprint, ClassDefaults, HubConfig, decoder::DecoderConfig};
use crate::error::LoadError;

const DEFAULTS: ClassDefaults =
    ClassDefaults { positions: 2048, key_heads: None, head_dim: None, tied: false };

pub(crate) fn read(config: &HubConfig) -> Result<Box<dyn Blueprint>, LoadError> {
    let attention_bias = config.flag_or("attention_bias", false)?;
    Ok(Box::new(DecoderConfig {
        qkv_bias: attention_bias,
        output_bias: attention_bias,
        ffn_bias: config.flag_or("mlp_bias", false)?,
        ..DecoderConfig::uniform(config, &DEFAULTS)?
    }))
}
