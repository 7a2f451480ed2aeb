//! Mistral: a Llama that may see a window only (Jiang et al. 2023, arXiv:2310.06825).

use super::{Blueprint, HubConfig, decoder::DecoderConfig};
use crate::error::LoadError;

pub(crate) fn read(config: &HubConfig) -> Result<Box<dyn Blueprint>, LoadError> {
    let mut decoder = DecoderConfig::from_hub(config)?;
    // `null` is how later releases turn the window off.
    if config.get("sliding_window").is_some() {
        let windowed = config.windowed_layers(decoder.layers.len(), |_| true)?;
        decoder.set_window(config.count("sliding_window")?, &windowed);
    }
    Ok(Box::new(decoder))
}
