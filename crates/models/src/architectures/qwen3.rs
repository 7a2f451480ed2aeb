//! Qwen3: norms on every query and key head, no biases (Yang et al. 2025, arXiv:2505.09388).

use super::{Blueprint, HubConfig, decoder::DecoderConfig, qwen2::set_window};
use crate::error::LoadError;

pub(crate) fn read(config: &HubConfig) -> Result<Box<dyn Blueprint>, LoadError> {
    let attention_bias = config.flag_or("attention_bias", false)?;
    let mut decoder = DecoderConfig {
        qkv_bias: attention_bias,
        output_bias: attention_bias,
        head_norms: true,
        ..DecoderConfig::from_hub(config)?
    };
    set_window(config, &mut decoder)?;
    Ok(Box::new(decoder))
}
