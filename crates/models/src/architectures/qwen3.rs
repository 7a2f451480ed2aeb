//! Qwen3: norms on every query and key head, no biases (Yang et al. 2025, arXiv:2505.09388).

use super::{Blueprint, ClassDefaults, HubConfig, decoder::DecoderConfig, qwen2::set_window};
use crate::error::LoadError;

const DEFAULTS: ClassDefaults =
    ClassDefaults { positions: 32_768, key_heads: Some(32), head_dim: Some(128), tied: false };

pub(crate) fn read(config: &HubConfig) -> Result<Box<dyn Blueprint>, LoadError> {
    let attention_bias = config.flag_or("attention_bias", false)?;
    let mut decoder = DecoderConfig {
        qkv_bias: attention_bias,
        output_bias: attention_bias,
        head_norms: true,
        ..DecoderConfig::uniform(config, &DEFAULTS)?
    };
    set_window(config, &mut decoder)?;
    Ok(Box::new(decoder))
}
