//! Qwen2 and Qwen2.5: biases on queries, keys and values (Yang et al. 2024, arXiv:2407.10671).

use super::{Blueprint, ClassDefaults, HubConfig, decoder::DecoderConfig};
use crate::error::LoadError;

const DEFAULTS: ClassDefaults =
    ClassDefaults { positions: 32_768, key_heads: Some(32), head_dim: None, tied: false };

pub(crate) fn read(config: &HubConfig) -> Result<Box<dyn Blueprint>, LoadError> {
    Ok(Box::new(decoder(config)?))
}

fn decoder(config: &HubConfig) -> Result<DecoderConfig, LoadError> {
    let mut decoder =
        DecoderConfig { qkv_bias: true, ..DecoderConfig::uniform(config, &DEFAULTS)? };
    set_window(config, &mut decoder)?;
    Ok(decoder)
}

/// The window of Qwen, which is off unless `use_sliding_window` says otherwise; then the layers that
/// `layer_types` lists have it, or those from `max_window_layers` on.
pub(super) fn set_window(config: &HubConfig, decoder: &mut DecoderConfig) -> Result<(), LoadError> {
    /// Of the class.
    const WINDOW: usize = 4096;
    const FIRST: usize = 28;
    const FIELD: &str = "max_window_layers";
    let layers = decoder.layers.len();
    let listed = config.windowed_layers(layers)?;
    let window = match config.flag_or("use_sliding_window", false)? {
        true => config.window_or(WINDOW)?,
        false => None,
    };
    let Some(window) = window else {
        if let Some(layer) = listed.and_then(|kinds| kinds.iter().position(|windowed| *windowed)) {
            let reason = format!(
                "gives layer {layer} a window, but `use_sliding_window` or `sliding_window` turns it off"
            );
            return Err(config.bad("layer_types", reason));
        }
        return Ok(());
    };
    let first = if config.has(FIELD) { config.count_from_0(FIELD)? } else { FIRST };
    let by_number = (0..layers).map(|layer| layer >= first).collect();
    let windowed = config.agreed_layers(listed, FIELD, by_number)?;
    decoder.set_window(window, &windowed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::architectures::decoder::tests::{refusal, windows};

    fn on(fields: Value) -> Value {
        let mut on = json!({"use_sliding_window": true, "num_key_value_heads": 2});
        let object = on.as_object_mut().expect("an object");
        object.extend(fields.as_object().expect("an object").clone());
        on
    }

    #[test]
    fn layers_from_a_number_on_have_the_window() {
        for (fields, expected) in [
            (json!({"max_window_layers": 0}), [Some(4096); 3]),
            (json!({"max_window_layers": 2, "sliding_window": 16}), [None, None, Some(16)]),
            (json!({}), [None; 3]),
            (json!({"max_window_layers": 0, "sliding_window": null}), [None; 3]),
            (json!({"max_window_layers": 0, "use_sliding_window": false}), [None; 3]),
            (
                json!({"layer_types": ["sliding_attention", "full_attention", "full_attention"]}),
                [Some(4096), None, None],
            ),
        ] {
            assert_eq!(windows(decoder, on(fields.clone())), expected, "{fields}");
        }
    }

    #[test]
    fn contradictions_name_both_fields() {
        let kinds = json!(["sliding_attention", "full_attention", "full_attention"]);
        for (fields, other) in [
            (json!({"layer_types": kinds, "max_window_layers": 1}), "max_window_layers"),
            (json!({"layer_types": kinds, "use_sliding_window": false}), "use_sliding_window"),
            (json!({"layer_types": kinds, "sliding_window": null}), "sliding_window"),
        ] {
            let error = refusal(decoder, on(fields));
            assert!(error.contains("`layer_types`") && error.contains(other), "{error}");
        }
    }
}
