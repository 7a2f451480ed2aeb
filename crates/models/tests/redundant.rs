//! Tensors that repeat others or the config, and names that training changed: each input is made here of a
//! golden folder, and what says nothing new must change no logit, while what says something else must be named.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "../../checkpoints/tests/common/mod.rs"]
mod files;

use std::collections::BTreeMap;

use files::{floats, golden, safetensors, words};
use models::{Batch, Dense, Device, LoadedModel, into_values, load};
use safetensors::Dtype;
use serde_json::{Value, json};
use tempfile::TempDir;

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A golden folder with its config and its tensors changed.
fn changed(name: &str, config: Value, change: impl FnOnce(&mut Tensors)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(golden(name).join("config.json")).unwrap();
    let mut fields: Value = serde_json::from_str(&text).unwrap();
    for (field, value) in config.as_object().unwrap() {
        fields[field] = value.clone();
    }
    std::fs::write(folder.path().join("config.json"), fields.to_string()).unwrap();
    let mut tensors = floats(&golden(name).join("model.safetensors"));
    change(&mut tensors);
    let listed: Vec<_> = tensors
        .iter()
        .map(|(name, (shape, values))| (name.as_str(), Dtype::F32, shape.clone(), words(values)))
        .collect();
    std::fs::write(folder.path().join("model.safetensors"), safetensors(&listed)).unwrap();
    folder
}

fn logits(loaded: &LoadedModel) -> Vec<f32> {
    let ids: Vec<u32> = (0..40).map(|i| i * 7 % loaded.facts.vocabulary as u32).collect();
    let hidden = loaded.model.forward(&Batch::new([&ids[..]]), &mut Dense).unwrap();
    into_values(loaded.model.logits(hidden))
}

/// Changed as told, the model is the same to the bit.
fn assert_same(name: &str, config: Value, change: impl FnOnce(&mut Tensors)) -> LoadedModel {
    let folder = changed(name, config, change);
    let found = load(folder.path(), &Device::flex()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let expected = load(&golden(name), &Device::flex()).unwrap();
    assert_eq!(logits(&found), logits(&expected), "{name}");
    assert_eq!(found.parameters, expected.parameters, "{name}");
    found
}

/// Why the changed model is refused.
fn refusal(name: &str, config: Value, change: impl FnOnce(&mut Tensors)) -> String {
    match load(changed(name, config, change).path(), &Device::flex()) {
        Ok(_) => panic!("{name} was loaded"),
        Err(error) => error.to_string(),
    }
}

const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

#[test]
fn a_tied_head_in_the_file_must_be_the_embedding() {
    let repeat = |tensors: &mut Tensors| {
        let embedding = tensors[EMBEDDING].clone();
        tensors.insert(HEAD.to_owned(), embedding);
    };
    assert_same("llama", json!({}), repeat);
    assert_same("llama", json!({}), |tensors| {
        let embedding = tensors.remove(EMBEDDING).unwrap();
        tensors.insert(HEAD.to_owned(), embedding);
    });
    let message = refusal("llama", json!({}), |tensors| {
        repeat(tensors);
        tensors.get_mut(HEAD).unwrap().1[77] += 0.5;
    });
    for part in [HEAD, EMBEDDING, "flat index 77", "tie_word_embeddings", "model.safetensors"] {
        assert!(message.contains(part), "{message}");
    }
    let message = refusal("llama", json!({}), |tensors| {
        tensors.insert(HEAD.to_owned(), (vec![3, 2], vec![0.0; 6]));
    });
    assert!(message.contains("`lm_head.weight` has shape [3, 2]"), "{message}");
}

/// As transformers tells its user to: the head of the file is used once the config says so.
#[test]
fn another_head_is_used_where_the_config_unties_it() {
    let folder = changed("llama", json!({"tie_word_embeddings": false}), |tensors| {
        let (shape, mut values) = tensors[EMBEDDING].clone();
        values.iter_mut().for_each(|value| *value *= 2.0);
        tensors.insert(HEAD.to_owned(), (shape, values));
    });
    let found = load(folder.path(), &Device::flex()).unwrap();
    let tied = load(&golden("llama"), &Device::flex()).unwrap();
    let doubled: Vec<f32> = logits(&tied).iter().map(|logit| 2.0 * logit).collect();
    assert_eq!(logits(&found), doubled);
}

/// `theta^(-2i/head_dim)`, as older releases stored it with every layer.
fn frequencies(theta: f32, head_dim: usize) -> Vec<f32> {
    (0..head_dim / 2).map(|i| 1.0 / theta.powf((2 * i) as f32 / head_dim as f32)).collect()
}

#[test]
fn buffers_of_frequencies_must_be_those_of_the_config() {
    let with = |values: Vec<f32>| {
        move |tensors: &mut Tensors| {
            let layers = tensors.keys().filter_map(|name| name.strip_suffix(".q_proj.weight"));
            let places: Vec<String> = layers.map(str::to_owned).collect();
            for at in places.into_iter().chain(["model".to_owned()]) {
                let name = format!("{at}.rotary_emb.inv_freq");
                tensors.insert(name, (vec![values.len()], values.clone()));
            }
        }
    };
    assert_same("llama", json!({}), with(frequencies(1e4, 8)));
    // Stretching happened while the model ran, so the buffer has the plain ones.
    let text = std::fs::read_to_string(golden("llama-linear").join("config.json")).unwrap();
    assert!(text.contains("linear"), "{text}");
    assert_same("llama-linear", json!({}), with(frequencies(1e4, 10)));
    let stretched = frequencies(1e4, 10).into_iter().map(|f| f / 4.0).collect();
    assert_same("llama-linear", json!({}), with(stretched));
    let message = refusal("llama", json!({}), with(frequencies(1e6, 8)));
    for part in ["rotary_emb.inv_freq", "rope_theta", "flat index 1"] {
        assert!(message.contains(part), "{message}");
    }
    let message = refusal("llama", json!({}), with(vec![1.0; 8]));
    assert!(message.contains("has shape [8], but the config says [head_dim / 2 = 4]"), "{message}");
}

#[test]
fn masks_say_nothing_and_what_is_no_mask_does() {
    let name = "transformer.h.0.attn.bias".to_owned();
    let mask: Vec<f32> = (0..9).map(|i| f32::from(u8::from(i % 3 <= i / 3))).collect();
    assert_same("gpt2", json!({}), |tensors| {
        tensors.insert(name.clone(), (vec![1, 1, 3, 3], mask.clone()));
        tensors.insert("transformer.h.0.attn.masked_bias".to_owned(), (vec![1], vec![-1e4]));
    });
    let message = refusal("gpt2", json!({}), |tensors| {
        tensors.insert(name.clone(), (vec![9], mask));
    });
    assert!(message.contains(&name), "{message}");
}

/// Layer 4 is the third use of the two blocks of `zamba2-two`, and so repeats the one under layer 1.
#[test]
fn shared_blocks_that_are_stored_again_must_be_the_same() {
    let (first, again) =
        ("model.layers.1.shared_transformer.", "model.layers.4.shared_transformer.");
    let repeat = |tensors: &mut Tensors| {
        let of_first = tensors.iter().filter_map(|(name, tensor)| {
            Some((format!("{again}{}", name.strip_prefix(first)?), tensor.clone()))
        });
        let repeated: Tensors = of_first.collect();
        assert!(repeated.len() > 8);
        tensors.extend(repeated);
    };
    assert_same("zamba2-two", json!({}), repeat);
    let name = format!("{again}feed_forward.down_proj.weight");
    let message = refusal("zamba2-two", json!({}), |tensors| {
        repeat(tensors);
        tensors.get_mut(&name).unwrap().1[5] += 1.0;
    });
    let other = format!("{first}feed_forward.down_proj.weight");
    assert!(message.contains(&name) && message.contains(&other), "{message}");
    let message = refusal("zamba2-two", json!({}), |tensors| {
        tensors.insert(format!("{again}another.weight"), (vec![1], vec![0.0]));
    });
    assert!(message.contains("another.weight"), "{message}");
}

#[test]
fn what_training_put_into_names_is_dropped_and_told() {
    for (front, inside) in
        [("_orig_mod.", ""), ("module.", ""), ("module._orig_mod.", "._orig_mod")]
    {
        let rename = |tensors: &mut Tensors| {
            let renamed = std::mem::take(tensors).into_iter().map(|(name, tensor)| {
                (
                    format!(
                        "{front}{}",
                        name.replace(".self_attn", &format!("{inside}.self_attn"))
                    ),
                    tensor,
                )
            });
            tensors.extend(renamed);
        };
        let loaded = assert_same("llama", json!({}), rename);
        assert!(loaded.conversions.drops_parts_of_names());
        assert!(loaded.conversions.to_string().contains("`_orig_mod.`"), "{}", loaded.conversions);
    }
    let plain = load(&golden("llama"), &Device::flex()).unwrap();
    assert!(!plain.conversions.drops_parts_of_names());
    let message = refusal("llama", json!({}), |tensors| {
        let norm = tensors["model.norm.weight"].clone();
        tensors.insert("_orig_mod.model.norm.weight".to_owned(), norm);
    });
    assert!(message.contains("`_orig_mod.model.norm.weight`"), "{message}");
    assert!(message.contains("`model.norm.weight`"), "{message}");
}

#[test]
fn quantized_weights_are_named_as_such() {
    for (end, method) in
        [("qweight", "GPTQ"), ("weight.absmax", "bitsandbytes"), ("weight_scale_inv", "FP8")]
    {
        let name = format!("model.layers.0.mlp.down_proj.{end}");
        let message = refusal("llama", json!({}), |tensors| {
            tensors.remove("model.layers.0.mlp.down_proj.weight");
            tensors.insert(name.clone(), (vec![1], vec![0.0]));
        });
        assert!(message.contains(&name) && message.contains(method), "{message}");
        assert!(message.contains("GGUF"), "{message}");
    }
}

/// A config of transformers and of whoever saved it, in the names of either.
#[test]
fn second_names_of_fields_are_read() {
    let text = std::fs::read_to_string(golden("gpt2").join("config.json")).unwrap();
    let fields: Value = serde_json::from_str(&text).unwrap();
    let pairs = [
        ("n_embd", "hidden_size"),
        ("n_head", "num_attention_heads"),
        ("n_layer", "num_hidden_layers"),
        ("n_positions", "max_position_embeddings"),
    ];
    let nothing = |_: &mut Tensors| {};
    for (own, other) in pairs {
        // `null` says nothing, so the other name alone does.
        assert_same("gpt2", json!({own: null, other: fields[own]}), nothing);
        assert_same("gpt2", json!({other: fields[own]}), nothing);
        let message = refusal("gpt2", json!({other: 1}), nothing);
        assert!(message.contains(own) && message.contains(other), "{message}");
    }
}
