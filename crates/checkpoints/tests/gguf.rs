//! GGUF: every number type against `gguf-py`, and whole files against the checkpoints they are made
//! from (`models/tests/golden/gguf/make.py`).

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::collections::BTreeSet;

use checkpoints::{GgufFile, LoadError, Source};
use common::{Gguf, Sizes, floats, golden};
use serde_json::{Map, Value, json};

fn open(name: &str) -> GgufFile {
    GgufFile::open(&golden("gguf").join(name)).unwrap()
}

#[test]
fn every_number_type_is_read_bit_for_bit_as_gguf_py_reads_it() {
    let file = open("types.gguf");
    let expected = floats(&golden("gguf/types.safetensors"));
    assert_eq!(file.names(), expected.keys().cloned().collect::<Vec<_>>());
    for (name, (shape, expected)) in &expected {
        assert_eq!(file.shape(name).unwrap(), *shape, "{name}");
        assert_eq!(file.values(name).unwrap(), *expected, "{name}");
    }
}

#[test]
fn conversions_name_the_type_in_the_file() {
    let file = open("types.gguf");
    let conversion = |name| file.conversion(name).unwrap().to_string();
    assert_eq!(conversion("F32"), "F32");
    assert_eq!(conversion("Q4_K"), "Q4_K → F32");
    let query = conversion("model.layers.0.self_attn.q_proj.weight");
    assert_eq!(query, "Q8_0 → F32, rows of each head reordered");
}

/// Names, shapes and values are those of the folder that the file was made from.
fn holds_the_tensors_of(name: &str, tolerance: f32) {
    let file = open(&format!("{name}.gguf"));
    let expected = floats(&golden(name).join("model.safetensors"));
    let names: BTreeSet<_> = file.names().into_iter().collect();
    assert_eq!(names, expected.keys().cloned().collect());
    for (tensor, (shape, expected)) in &expected {
        assert_eq!(file.shape(tensor).unwrap(), *shape, "{tensor}");
        // The golden scale of the queries, 14 and not the 10 of a head, is in the norm.
        let folded = name == "gemma3" && tensor.ends_with("q_norm.weight");
        for (found, expected) in file.values(tensor).unwrap().iter().zip(expected) {
            let found = if folded { (found + 1.0) * 1.4_f32.sqrt() - 1.0 } else { *found };
            assert!((found - expected).abs() <= tolerance, "{tensor}: {found}, {expected}");
        }
    }
}

/// The fields of config.json, as far as the file has them; what it has besides.
fn has_the_fields_of(name: &str, besides: Value) {
    let fields = open(&format!("{name}.gguf")).fields().unwrap();
    let config = std::fs::read_to_string(golden(name).join("config.json")).unwrap();
    let mut config: Map<String, Value> = serde_json::from_str(&config).unwrap();
    let Value::Object(besides) = besides else { panic!("not an object") };
    config.extend(besides);
    for (field, value) in &fields {
        assert_eq!(Some(value), config.get(field), "{field}");
    }
}

#[test]
fn llama() {
    holds_the_tensors_of("llama", 0.0);
    has_the_fields_of("llama", json!({ "sliding_window": null }));
}

#[test]
fn llama_with_the_scaling_of_llama_3() {
    holds_the_tensors_of("llama-rope", 0.0);
    let scaling = json!({
        "rope_type": "llama3", "rope_theta": 10_000.0, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
    });
    let besides = json!({ "sliding_window": null, "rope_parameters": scaling });
    has_the_fields_of("llama-rope", besides);
}

#[test]
fn qwen2() {
    holds_the_tensors_of("qwen2", 0.0);
    let rope = json!({ "rope_type": "default", "rope_theta": 1_000_000.0 });
    // transformers knows the biases by the architecture and the width of a head by division.
    let besides = json!({ "attention_bias": true, "head_dim": 10, "rope_parameters": rope });
    has_the_fields_of("qwen2", besides);
}

#[test]
fn qwen3() {
    holds_the_tensors_of("qwen3", 0.0);
    has_the_fields_of("qwen3", json!({}));
}

#[test]
fn gemma3() {
    // Adding one and taking it away again rounds twice.
    holds_the_tensors_of("gemma3", 4.0 * f32::EPSILON);
    has_the_fields_of("gemma3", json!({ "query_pre_attn_scalar": 10 }));
}

const SIZES: Sizes = Sizes { vocabulary: 7, width: 8, neurons: 4, layers: 1, heads: 2 };

/// A tiny model of the Llama family.
fn tiny() -> Gguf {
    SIZES.shapes().iter().fold(Gguf::default().llama(SIZES), |file, (name, shape)| {
        let bytes = vec![0; 4 * shape.iter().product::<usize>()];
        file.tensor(&Sizes::gguf_name(name), 0, shape, &bytes)
    })
}

fn fields_of(file: Gguf) -> Result<Map<String, Value>, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    std::fs::write(&path, file.finish()).unwrap();
    GgufFile::open(&path)?.fields()
}

fn refused(file: Gguf) -> String {
    fields_of(file).unwrap_err().to_string()
}

#[test]
fn a_number_for_each_layer_counts_where_all_are_the_same() {
    let list = |values: &[u32]| {
        let values = values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
        [&4_u32.to_le_bytes()[..], &(values.len() as u64 / 4).to_le_bytes(), &values].concat()
    };
    let key = "llama.attention.head_count_kv";
    let fields = fields_of(tiny().raw(key, 9, &list(&[1, 1, 1]))).unwrap();
    assert_eq!(fields["num_key_value_heads"], json!(1));
    let message = refused(tiny().raw(key, 9, &list(&[1, 2, 1])));
    assert!(
        message.ends_with(
            "field `llama.attention.head_count_kv`: is not one whole number that all layers share"
        ),
        "{message}"
    );
}

#[test]
fn a_window_makes_a_mistral() {
    let fields = fields_of(tiny().count("llama.attention.sliding_window", 16)).unwrap();
    assert_eq!(fields["architectures"], json!(["MistralForCausalLM"]));
    assert_eq!(fields["sliding_window"], json!(16));
}

#[test]
fn linear_scaling_in_its_old_and_its_new_spelling() {
    let expected = json!({ "rope_type": "linear", "rope_theta": 10_000.0, "factor": 4.0 });
    let fields = fields_of(tiny().real("llama.rope.scale_linear", 4.0)).unwrap();
    assert_eq!(fields["rope_parameters"], expected);
    let new = tiny().text("llama.rope.scaling.type", "linear");
    let fields = fields_of(new.real("llama.rope.scaling.factor", 4.0)).unwrap();
    assert_eq!(fields["rope_parameters"], expected);
}

#[test]
fn what_no_field_can_say_is_refused() {
    let cases = [
        (tiny().count("llama.expert_count", 8), "`llama.expert_count`: is 8"),
        (tiny().count("llama.rope.dimension_count", 2), "is 2, only the key length 4"),
        (tiny().real("llama.logit_scale", 0.5), "`llama.logit_scale`: is 0.5"),
        (tiny().count("split.count", 3), "one of several files"),
        (tiny().raw("llama.attention.causal", 7, &[0]), "is false"),
        (tiny().tensor("rope_freqs.weight", 0, &[2], &common::words(&[1.0, 3.0])), "rope_freqs"),
        (
            tiny().count("llama.context_length.", 3).raw("llama.rope.freq_base", 8, &[0; 8]),
            "freq_base`: is not a finite number",
        ),
    ];
    for (file, expected) in cases {
        let message = refused(file);
        assert!(message.contains(expected) && message.contains("tiny.gguf"), "{message}");
    }
}

#[test]
fn the_tokenizer_of_a_file() {
    let texts = |texts: &[&str]| {
        let lengths = texts
            .iter()
            .flat_map(|text| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat());
        [
            &8_u32.to_le_bytes()[..],
            &(texts.len() as u64).to_le_bytes(),
            &lengths.collect::<Vec<_>>(),
        ]
        .concat()
    };
    let kinds = [5_u32.to_le_bytes().to_vec(), 3_u64.to_le_bytes().to_vec()].concat();
    let kinds =
        [kinds, [1_i32, 3, 1].iter().flat_map(|kind| kind.to_le_bytes()).collect()].concat();
    let file = tiny()
        .text("tokenizer.ggml.model", "gpt2")
        .text("tokenizer.ggml.pre", "smollm")
        .raw("tokenizer.ggml.tokens", 9, &texts(&["a", "<|end|>", "é"]))
        .raw("tokenizer.ggml.merges", 9, &texts(&["a b"]))
        .raw("tokenizer.ggml.token_type", 9, &kinds)
        .raw("tokenizer.ggml.add_bos_token", 7, &[1])
        .count("tokenizer.ggml.bos_token_id", 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    std::fs::write(&path, file.finish()).unwrap();
    let vocabulary = GgufFile::open(&path).unwrap().vocabulary().unwrap();
    assert_eq!(vocabulary.tokens, ["a", "<|end|>", "é"]);
    assert_eq!(vocabulary.kinds, Some(vec![1, 3, 1]));
    assert_eq!(vocabulary.merges, Some(vec!["a b".to_owned()]));
    assert_eq!(
        (vocabulary.model.as_str(), vocabulary.pre_tokenizer.as_deref()),
        ("gpt2", Some("smollm"))
    );
    assert_eq!(
        (vocabulary.bos, vocabulary.add_bos, vocabulary.add_eos),
        (Some(1), Some(true), None)
    );
    assert_eq!((vocabulary.scores, vocabulary.add_space_prefix), (None, None));
    std::fs::write(&path, tiny().finish()).unwrap();
    let error = GgufFile::open(&path).unwrap().vocabulary().unwrap_err().to_string();
    assert!(error.contains("field `tokenizer.ggml.tokens`: is missing"), "{error}");
}
