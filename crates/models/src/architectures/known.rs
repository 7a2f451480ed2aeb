//! Which family a config is of, and who reads it.

use serde_json::Value;

use super::{
    Blueprint, HubConfig, gemma3, gpt2, llama, mamba2, mistral, opt, qwen2, qwen3, zamba2,
};
use crate::{TimeSteps, error::LoadError};

/// A family that can be read.
struct Family {
    /// What `architectures` says.
    class: &'static str,
    /// What `model_type` says; the original code of Mamba has no such field.
    model_type: Option<&'static str>,
    /// Fields that have a second name: the own one first.
    synonyms: &'static [(&'static str, &'static str)],
    read: fn(&HubConfig) -> Result<Box<dyn Blueprint>, LoadError>,
}

impl Family {
    const fn of(
        class: &'static str,
        model_type: &'static str,
        read: fn(&HubConfig) -> Result<Box<dyn Blueprint>, LoadError>,
    ) -> Self {
        Self { class, model_type: Some(model_type), synonyms: &[], read }
    }
}

/// The name that the class of the original code of Mamba has, whose configs name no class.
const ORIGINAL_MAMBA: &str = "MambaLMHeadModel";

static KNOWN: [Family; 10] = [
    Family { synonyms: &gpt2::SYNONYMS, ..Family::of("GPT2LMHeadModel", "gpt2", gpt2::read) },
    Family::of("Gemma3ForCausalLM", "gemma3_text", gemma3::read),
    Family::of("LlamaForCausalLM", "llama", llama::read),
    Family::of("Mamba2ForCausalLM", "mamba2", mamba2::read),
    Family { class: ORIGINAL_MAMBA, model_type: None, synonyms: &[], read: mamba2::read_original },
    Family::of("MistralForCausalLM", "mistral", mistral::read),
    Family::of("OPTForCausalLM", "opt", opt::read),
    Family::of("Qwen2ForCausalLM", "qwen2", qwen2::read),
    Family::of("Qwen3ForCausalLM", "qwen3", qwen3::read),
    Family {
        synonyms: &zamba2::SYNONYMS,
        ..Family::of("Zamba2ForCausalLM", "zamba2", zamba2::read)
    },
];

/// Reads a config by the family that it names.
pub(crate) fn blueprint(config: HubConfig) -> Result<Box<dyn Blueprint>, LoadError> {
    let family = family(&config)?;
    config.refuse_quantized()?;
    config.refuse_exceptions()?;
    if config.options().time_steps != TimeSteps::default() && family.model_type != Some("zamba2") {
        let reason = format!(
            "a model of the class {} has one rule for its time steps: only Zamba2 has two",
            family.class
        );
        return Err(config.bad("time_steps", reason));
    }
    (family.read)(&config.under_own_names(family.synonyms)?)
}

/// What a config of a family says of itself once it is written.
pub(super) struct Written {
    pub(super) class: &'static str,
    pub(super) model_type: &'static str,
    pub(super) synonyms: &'static [(&'static str, &'static str)],
    /// Whether its fields are not those of transformers.
    pub(super) is_foreign: bool,
}

/// How transformers knows the family of a config.
pub(super) fn written(config: &HubConfig) -> Result<Written, LoadError> {
    let Family { class, model_type, synonyms, .. } = family(config)?;
    Ok(match model_type {
        Some(model_type) => Written { class, model_type, synonyms, is_foreign: false },
        None => {
            Written { class: "Mamba2ForCausalLM", model_type: "mamba2", synonyms, is_foreign: true }
        }
    })
}

/// The family that `architectures` names, or `model_type` where that says nothing; the two must agree.
fn family(config: &HubConfig) -> Result<&'static Family, LoadError> {
    let unknown = |found: &str, known: Vec<&'static str>| LoadError::UnknownArchitecture {
        path: config.path().to_owned(),
        found: found.to_owned(),
        known,
    };
    let model_type = config.get("model_type").and_then(Value::as_str);
    let Some(class) = class(config)? else {
        let Some(model_type) = model_type else {
            let reason = "is missing, and so is `model_type`: add the class of the model, such as \
                          \"architectures\": [\"LlamaForCausalLM\"]";
            return Err(config.bad("architectures", reason));
        };
        let found = KNOWN.iter().find(|family| family.model_type == Some(model_type));
        let known = || KNOWN.iter().filter_map(|family| family.model_type).collect();
        return found.ok_or_else(|| unknown(model_type, known()));
    };
    let family = KNOWN.iter().find(|family| family.class == class);
    let known = || KNOWN.iter().map(|family| family.class).collect();
    let family = family.ok_or_else(|| unknown(&class, known()))?;
    match (model_type, family.model_type) {
        (Some(found), Some(expected)) if found != expected => {
            let reason = format!(
                "is \"{found}\", but `architectures` names {class}, whose type is \"{expected}\": \
                 correct the one that is wrong"
            );
            Err(config.bad("model_type", reason))
        }
        _ => Ok(family),
    }
}

/// The one class that a config names; none where it names none.
fn class(config: &HubConfig) -> Result<Option<String>, LoadError> {
    const FIELD: &str = "architectures";
    let Some(value) = config.get(FIELD) else {
        let is_original = config.get("ssm_cfg").is_some() && config.get("model_type").is_none();
        return Ok(is_original.then(|| ORIGINAL_MAMBA.to_owned()));
    };
    match value.as_array().map(Vec::as_slice) {
        Some([]) => Ok(None),
        Some([Value::String(name)]) => Ok(Some(name.clone())),
        _ => Err(config.bad(FIELD, format!("is {value}, expected a list with one class"))),
    }
}

impl HubConfig {
    /// Refuses weights that are quantized in a way of their own, naming it.
    fn refuse_quantized(&self) -> Result<(), LoadError> {
        for field in ["quantization_config", "compression_config"] {
            let Some(value) = self.get(field) else { continue };
            if value.as_object().is_some_and(serde_json::Map::is_empty) {
                continue;
            }
            // What is packed so is read as the numbers that it stands for; `checkpoints` says what it is not.
            if value["quant_method"] == "compressed-tensors" && value["format"] == "pack-quantized"
            {
                continue;
            }
            let said = |key: &str| value.get(key).filter(|v| !v.is_null() && **v != false);
            let method = said("quant_method").and_then(Value::as_str).unwrap_or(
                match (said("load_in_4bit"), said("load_in_8bit")) {
                    (None, None) => "a method that it does not name",
                    _ => "bitsandbytes",
                },
            );
            let bits =
                ["bits", "w_bit", "nbits"].into_iter().find_map(said).and_then(Value::as_u64);
            let bits = bits.or(said("load_in_4bit").map(|_| 4)).or(said("load_in_8bit").map(|_| 8));
            let bits = bits.map(|bits| format!(", {bits} bits")).unwrap_or_default();
            let reason = format!(
                "the weights are quantized ({method}{bits}), which is not read; {}; where the weights are \
                 plain numbers and the field is left over, remove it",
                LoadError::UNQUANTIZED
            );
            return Err(self.bad(field, reason));
        }
        Ok(())
    }

    /// Refuses other values for single layers.
    fn refuse_exceptions(&self) -> Result<(), LoadError> {
        const FIELD: &str = "per_layer_config";
        match self.get(FIELD).filter(|value| value.as_object().is_none_or(|o| !o.is_empty())) {
            None => Ok(()),
            Some(value) => Err(self.bad(FIELD, format!("is {value}, which is not supported"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Box<dyn Blueprint>, String> {
        let mut fields = json!({
            "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "vocab_size": 61,
        });
        let object = fields.as_object_mut().expect("an object");
        object.extend(value.as_object().expect("an object").clone());
        let config = HubConfig::from_fields(Path::new("config.json"), object.clone());
        blueprint(config).map_err(|error| error.to_string())
    }

    #[test]
    fn the_type_names_the_family_where_no_class_does() {
        for architectures in [json!(null), json!([])] {
            let fields = json!({"architectures": architectures, "model_type": "qwen2"});
            assert!(read(fields).is_ok());
        }
        assert!(read(json!({"model_type": "llama"})).is_ok());
        assert!(read(json!({"architectures": ["LlamaForCausalLM"]})).is_ok());
    }

    #[test]
    fn what_names_no_family_is_refused() {
        for (fields, expected) in [
            (json!({}), "`model_type`: add the class"),
            (json!({"model_type": "qwen"}), "nearest that is: `qwen2`"),
            (
                json!({"architectures": ["LlamaForCausalLM"], "model_type": "mistral"}),
                "names LlamaForCausalLM",
            ),
            (
                json!({"architectures": ["LlamaForCausalLM", "MistralForCausalLM"]}),
                "a list with one class",
            ),
            (
                json!({"architectures": ["FalconForCausalLM"]}),
                "`FalconForCausalLM` is not supported",
            ),
        ] {
            let error = read(fields.clone()).err().unwrap_or_default();
            assert!(error.contains(expected), "{fields}: {error}");
        }
    }

    #[test]
    fn quantized_weights_are_told_by_their_method() {
        for (of, expected) in [
            (json!({"quant_method": "gptq", "bits": 4}), "quantized (gptq, 4 bits)"),
            (json!({"quant_method": "awq", "bits": 4}), "quantized (awq, 4 bits)"),
            (json!({"quant_method": "fp8"}), "quantized (fp8)"),
            (
                json!({"load_in_4bit": true, "load_in_8bit": false}),
                "quantized (bitsandbytes, 4 bits)",
            ),
            (json!({"load_in_8bit": true}), "quantized (bitsandbytes, 8 bits)"),
        ] {
            let fields = json!({"model_type": "llama", "quantization_config": of});
            let error = read(fields).err().unwrap_or_default();
            let all = ["`quantization_config`", expected, "GGUF", "left over"];
            assert!(all.iter().all(|part| error.contains(part)), "{error}");
        }
        assert!(read(json!({"model_type": "llama", "quantization_config": null})).is_ok());
    }

    /// What the classes of transformers 5.23 take where a config says nothing.
    #[test]
    fn class_defaults_are_those_of_the_family() {
        let positions = |model_type: &str| {
            let fields =
                json!({"model_type": model_type, "num_attention_heads": 32, "hidden_size": 64});
            read(fields).unwrap_or_else(|e| panic!("{model_type}: {e}")).facts().max_positions
        };
        let found = ["llama", "mistral", "qwen2", "qwen3", "gemma3_text"].map(positions);
        assert_eq!(found, [2048, 131_072, 32_768, 32_768, 131_072]);
    }
}
