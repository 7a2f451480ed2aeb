//! Mistral: a Llama that may see a window only (Jiang et al. 2023, arXiv:2310.06825).

use super::{Blueprint, ClassDefaults, HubConfig, decoder::DecoderConfig};
use crate::error::LoadError;

const DEFAULTS: ClassDefaults =
    ClassDefaults { positions: 131_072, key_heads: Some(8), head_dim: None, tied: false };

/// The window where the field is absent; `null` is how later releases turn it off.
const WINDOW: usize = 4096;

pub(crate) fn read(config: &HubConfig) -> Result<Box<dyn Blueprint>, LoadError> {
    Ok(Box::new(decoder(config)?))
}

fn decoder(config: &HubConfig) -> Result<DecoderConfig, LoadError> {
    let mut decoder = DecoderConfig::uniform(config, &DEFAULTS)?;
    let window = config.window_or(WINDOW)?;
    let layers = decoder.layers.len();
    // The reference gives every layer the window, whatever `layer_types` says.
    let listed = config.windowed_layers(layers)?;
    if let Some(layer) = listed.and_then(|kinds| kinds.iter().position(|w| *w != window.is_some()))
    {
        let reason = format!(
            "does not fit layer {layer}: by `sliding_window` either all layers of this family see a window or none"
        );
        return Err(config.bad("layer_types", reason));
    }
    if let Some(window) = window {
        decoder.set_window(window, &vec![true; layers]);
    }
    Ok(decoder)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::architectures::decoder::tests::{refusal, windows};

    #[test]
    fn the_window_is_there_unless_it_is_null() {
        for (fields, window) in [
            (json!({}), Some(4096)),
            (json!({"sliding_window": null}), None),
            (json!({"sliding_window": 16}), Some(16)),
            (
                json!({"layer_types": ["sliding_attention", "sliding_attention", "sliding_attention"]}),
                Some(4096),
            ),
        ] {
            assert_eq!(windows(decoder, fields), [window; 3]);
        }
        let kinds =
            json!({"layer_types": ["full_attention", "sliding_attention", "full_attention"]});
        let error = refusal(decoder, kinds);
        assert!(error.contains("`layer_types`") && error.contains("`sliding_window`"), "{error}");
    }

    #[test]
    fn key_heads_are_eight_unless_told() {
        let heads = |fields| {
            crate::architectures::decoder::tests::config(decoder, fields).map(|c| c.kv_heads)
        };
        assert_eq!(
            heads(json!({"num_attention_heads": 16, "num_key_value_heads": null})).ok(),
            Some(16)
        );
        assert_eq!(heads(json!({"num_attention_heads": 16})).ok(), Some(8));
        let error = refusal(decoder, json!({"num_attention_heads": 4}));
        assert!(error.contains("is 8 by default"), "{error}");
    }
}
