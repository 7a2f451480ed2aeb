//! Qwen2 and Qwen2.5: biases on queries, keys and values (Yang et al. 2024, arXiv:2407.10671).

use super::{Blueprint, HubConfig, decoder::DecoderConfig};
use crate::error::LoadError;

pub(crate) fn read(config: &HubConfig) -> Result<Box<dyn Blueprint>, LoadError> {
    let mut decoder = DecoderConfig { qkv_bias: true, ..DecoderConfig::from_hub(config)? };
    set_window(config, &mut decoder)?;
    Ok(Box::new(decoder))
}

/// The window of Qwen, which is off unless `use_sliding_window` says otherwise; then the layers from
/// `max_window_layers` on have it.
pub(super) fn set_window(config: &HubConfig, decoder: &mut DecoderConfig) -> Result<(), LoadError> {
    if !config.flag_or("use_sliding_window", false)? || config.get("sliding_window").is_none() {
        return Ok(());
    }
    let first = config.count_or("max_window_layers", 28)?;
    let windowed = config.windowed_layers(decoder.layers.len(), |layer| layer >= first)?;
    decoder.set_window(config.count("sliding_window")?, &windowed);
    Ok(())
}
