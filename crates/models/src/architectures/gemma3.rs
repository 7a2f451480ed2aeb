//! Gemma 3, text only: GeGLU blocks, norms before and after each part, local and global layers with
//! frequencies of their own (Gemma Team 2025, arXiv:2503.19786).

use super::{
    Blueprint, ClassDefaults, HubConfig,
    decoder::{DecoderConfig, LayerKind, Norms},
};
use crate::error::LoadError;

const DEFAULTS: ClassDefaults =
    ClassDefaults { positions: 131_072, key_heads: Some(4), head_dim: Some(256), tied: true };

/// Indices of the two kinds of frequencies.
const GLOBAL: usize = 0;
const LOCAL: usize = 1;

pub(crate) fn read(config: &HubConfig) -> Result<Box<dyn Blueprint>, LoadError> {
    Ok(Box::new(decoder(config)?))
}

fn decoder(config: &HubConfig) -> Result<DecoderConfig, LoadError> {
    for field in ["final_logit_softcapping", "attn_logit_softcapping"] {
        config.require_absent(field)?;
    }
    if config.get("use_bidirectional_attention").is_some() {
        config.require_flag("use_bidirectional_attention", false, false)?;
    }
    let plain = DecoderConfig::from_hub(config, &DEFAULTS)?;
    let attention_bias = config.flag_or("attention_bias", false)?;
    let scalar = config.real_or("query_pre_attn_scalar", 256.0)?;
    if scalar <= 0.0 || !scalar.is_finite() {
        let reason = format!("is {scalar}, expected a positive number");
        return Err(config.bad("query_pre_attn_scalar", reason));
    }
    Ok(DecoderConfig {
        activation: config.activation_or("hidden_activation", "gelu_pytorch_tanh")?,
        qkv_bias: attention_bias,
        output_bias: attention_bias,
        head_norms: true,
        scale: (1.0 / scalar.sqrt()) as f32,
        embedding_scale: (plain.hidden_size as f64).sqrt(),
        norms: Norms::AroundLess1,
        layers: layer_kinds(config, plain.layers.len())?,
        ropes: config.ropes_by_kind(plain.head_dim, plain.max_position_embeddings)?.to_vec(),
        ..plain
    })
}

/// Local and global layers: those that `layer_types` lists, or every so many a global one.
fn layer_kinds(config: &HubConfig, layers: usize) -> Result<Vec<LayerKind>, LoadError> {
    /// Of the class.
    const WINDOW: usize = 4096;
    const PERIOD: usize = 6;
    const FIELD: &str = "sliding_window_pattern";
    /// Newer releases write it beside `layer_types`, whatever that says, and do not read it.
    const PRIVATE: &str = "_sliding_window_pattern";
    let listed = config.windowed_layers(layers)?;
    let by = |period: usize| (1..=layers).map(|n| !n.is_multiple_of(period)).collect::<Vec<_>>();
    let period = config.count_or(FIELD, PERIOD)?;
    let private = config.count_or(PRIVATE, period)?;
    if listed.is_none() && private != period {
        let reason = format!(
            "is {private}, but without `layer_types` every {period} layers one sees everything: give \
             `{FIELD}`, or `layer_types` with every layer"
        );
        return Err(config.bad(PRIVATE, reason));
    }
    let local = config.agreed_layers(listed, FIELD, by(period))?;
    let window = config.window_or(WINDOW)?;
    if window.is_none() && local.contains(&true) {
        let reason = "is null, but layers of the kind sliding_attention need a width";
        return Err(config.bad("sliding_window", reason));
    }
    let kind = |local: bool| LayerKind {
        window: window.filter(|_| local),
        rope: if local { LOCAL } else { GLOBAL },
    };
    Ok(local.into_iter().map(kind).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::architectures::decoder::tests::{config, refusal, windows};

    #[test]
    fn layers_are_local_by_list_or_by_period() {
        let kinds = json!(["full_attention", "sliding_attention", "sliding_attention"]);
        for (fields, expected) in [
            (json!({}), [Some(4096); 3]),
            (
                json!({"sliding_window_pattern": 2, "sliding_window": 16}),
                [Some(16), None, Some(16)],
            ),
            (json!({"layer_types": kinds}), [None, Some(4096), Some(4096)]),
            (json!({"sliding_window_pattern": 1, "sliding_window": null}), [None; 3]),
            (json!({"_sliding_window_pattern": 6}), [Some(4096); 3]),
            (
                json!({"layer_types": kinds, "_sliding_window_pattern": 6}),
                [None, Some(4096), Some(4096)],
            ),
        ] {
            assert_eq!(windows(decoder, fields.clone()), expected, "{fields}");
        }
        for (fields, other) in [
            (
                json!({"layer_types": kinds, "sliding_window_pattern": 2}),
                "`sliding_window_pattern`",
            ),
            (
                json!({"sliding_window_pattern": 2, "_sliding_window_pattern": 3}),
                "`_sliding_window_pattern`",
            ),
            (json!({"_sliding_window_pattern": 2}), "`_sliding_window_pattern`"),
            (json!({"sliding_window": null}), "`sliding_window`"),
            (json!({"use_bidirectional_attention": true}), "`use_bidirectional_attention`"),
        ] {
            let error = refusal(decoder, fields);
            assert!(error.contains(other), "{error}");
        }
    }

    #[test]
    fn frequencies_are_by_kind_in_every_spelling() {
        let ropes =
            |fields| config(decoder, fields).map(|config| config.ropes).map_err(|e| e.to_string());
        let older = json!({"rope_theta": 5e5, "rope_scaling": {"rope_type": "linear", "factor": 8.0},
            "rope_local_base_freq": 2e4});
        let newer = json!({"rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8, "rope_theta": 5e5},
            "sliding_attention": {"rope_type": "default", "rope_theta": 2e4}}});
        assert_eq!(ropes(older), ropes(newer));
        let none = ropes(json!({})).expect("defaults");
        let given = json!({"rope_theta": 1e6, "rope_local_base_freq": 1e4});
        assert_eq!(Ok(none), ropes(given));
        for (fields, field) in [
            (json!({"rope_parameters": {"rope_theta": 1e6}}), "rope_parameters.rope_theta"),
            (
                json!({"rope_parameters": {"sliding_attention": {"rope_theta": 1e4}}, "rope_local_base_freq": 2e4}),
                "rope_parameters.sliding_attention.rope_theta",
            ),
            (
                json!({"rope_parameters": {"full_attention": {"rope_theta": 1e6}},
                    "rope_scaling": {"rope_type": "linear", "factor": 8.0}}),
                "rope_parameters.full_attention.rope_type",
            ),
        ] {
            let error = ropes(fields).expect_err("refused");
            assert!(error.contains(&format!("field `{field}`")), "{error}");
        }
    }
}
