//! Files of every format, made by hand so that tests can make wrong ones too.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{
    collections::BTreeMap,
    io::{Cursor, Write as _},
    path::{Path, PathBuf},
};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// A folder of `models/tests/golden`.
pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden").join(name)
}

/// The f32 tensors of a safetensors file with their shapes.
pub(crate) fn floats(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let read = |(name, view): (String, TensorView<'_>)| {
        assert_eq!(view.dtype(), Dtype::F32, "{name}");
        let values = view.data().as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word));
        (name, (view.shape().to_vec(), values.collect()))
    };
    file.tensors().into_iter().map(read).collect()
}

/// Words of a vector of numbers.
pub(crate) fn words(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A safetensors file with tensors of any shape.
pub(crate) fn safetensors(tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)]) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (*name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

/// A safetensors file with any header.
pub(crate) fn safetensors_with(header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(data);
    file
}

/// The opening of a pickle of protocol 2 with an empty dictionary, open for entries.
pub(crate) const DICT: &[u8] = b"\x80\x02}(";

/// The end of such a pickle.
pub(crate) const END: &[u8] = b"u.";

/// Opcode and bytes of a text.
pub(crate) fn text(text: &str) -> Vec<u8> {
    let mut code = b"X".to_vec();
    code.extend((text.len() as u32).to_le_bytes());
    code.extend_from_slice(text.as_bytes());
    code
}

fn int(value: usize) -> Vec<u8> {
    let mut code = b"J".to_vec();
    code.extend(i32::try_from(value).unwrap().to_le_bytes());
    code
}

fn tuple(items: &[usize]) -> Vec<u8> {
    [b"(".to_vec(), items.iter().flat_map(|item| int(*item)).collect(), b"t".to_vec()].concat()
}

/// Name and value of an entry: a tensor of class `torch.{class}` in storage `key`.
pub(crate) fn entry(
    name: &str,
    class: &str,
    key: &str,
    shape: &[usize],
    strides: &[usize],
) -> Vec<u8> {
    let length = shape.iter().product();
    [text(name), tensor(class, key, length, 0, shape, strides)].concat()
}

/// The call that makes a tensor.
pub(crate) fn tensor(
    class: &str,
    key: &str,
    length: usize,
    offset: usize,
    shape: &[usize],
    strides: &[usize],
) -> Vec<u8> {
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
        text("storage"),
        format!("ctorch\n{class}\n").into_bytes(),
        text(key),
        text("cpu"),
        int(length),
        b"tQ".to_vec(),
        int(offset),
        tuple(shape),
        tuple(strides),
        b"\x89}tR".to_vec(),
    ]
    .concat()
}

/// Row-major strides.
pub(crate) fn contiguous(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect()
}

/// A `.bin` file: the pickle and the storages in a zip archive.
pub(crate) fn bin(pickle: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    archive.start_file("m/data.pkl", stored).unwrap();
    archive.write_all(pickle).unwrap();
    for (key, bytes) in storages {
        archive.start_file(format!("m/data/{key}"), stored).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A `.bin` file of contiguous f32 tensors.
pub(crate) fn bin_of(tensors: &[(&str, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let mut pickle = DICT.to_vec();
    let mut storages = Vec::new();
    for (at, (name, shape, values)) in tensors.iter().enumerate() {
        let key = at.to_string();
        pickle.extend(entry(name, "FloatStorage", &key, shape, &contiguous(shape)));
        storages.push((key, words(values)));
    }
    pickle.extend_from_slice(END);
    let storages: Vec<_> = storages.iter().map(|(key, b)| (key.as_str(), b.as_slice())).collect();
    bin(&pickle, &storages)
}

/// Grows a GGUF file.
#[derive(Default)]
pub(crate) struct Gguf {
    entries: u64,
    metadata: Vec<u8>,
    tensors: u64,
    table: Vec<u8>,
    data: Vec<u8>,
}

fn gguf_text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

impl Gguf {
    const ALIGNMENT: usize = 32;

    /// Metadata of any type: its number and its bytes.
    pub(crate) fn raw(mut self, key: &str, kind: u32, bytes: &[u8]) -> Self {
        self.entries += 1;
        self.metadata.extend([&gguf_text(key), &kind.to_le_bytes()[..], bytes].concat());
        self
    }

    pub(crate) fn text(self, key: &str, value: &str) -> Self {
        self.raw(key, 8, &gguf_text(value))
    }

    pub(crate) fn count(self, key: &str, value: u32) -> Self {
        self.raw(key, 4, &value.to_le_bytes())
    }

    pub(crate) fn real(self, key: &str, value: f32) -> Self {
        self.raw(key, 6, &value.to_le_bytes())
    }

    /// What a model of the Llama family says of itself.
    pub(crate) fn llama(self, sizes: Sizes) -> Self {
        self.text("general.architecture", "llama")
            .count("llama.vocab_size", sizes.vocabulary)
            .count("llama.embedding_length", sizes.width)
            .count("llama.feed_forward_length", sizes.neurons)
            .count("llama.block_count", sizes.layers)
            .count("llama.attention.head_count", sizes.heads)
            .count("llama.context_length", 64)
            .real("llama.attention.layer_norm_rms_epsilon", 1e-5)
    }

    /// A tensor, rows first, of ggml's type `kind`.
    pub(crate) fn tensor(mut self, name: &str, kind: u32, shape: &[usize], bytes: &[u8]) -> Self {
        self.tensors += 1;
        self.table.extend(gguf_text(name));
        self.table.extend((shape.len() as u32).to_le_bytes());
        self.table.extend(shape.iter().rev().flat_map(|length| (*length as u64).to_le_bytes()));
        self.table.extend(kind.to_le_bytes());
        self.table.extend((self.data.len() as u64).to_le_bytes());
        self.data.extend_from_slice(bytes);
        self.data.resize(self.data.len().next_multiple_of(Self::ALIGNMENT), 0);
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        let mut file = b"GGUF\x03\0\0\0".to_vec();
        file.extend(self.tensors.to_le_bytes());
        file.extend(self.entries.to_le_bytes());
        file.extend(self.metadata);
        file.extend(self.table);
        file.resize(file.len().next_multiple_of(Self::ALIGNMENT), 0);
        file.extend(self.data);
        file
    }
}

/// Sizes of a model of the Llama family without grouped queries.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) vocabulary: u32,
    pub(crate) width: u32,
    pub(crate) neurons: u32,
    pub(crate) layers: u32,
    pub(crate) heads: u32,
}

impl Sizes {
    /// Shapes of all tensors by their Hugging Face names; the output head is its own.
    pub(crate) fn shapes(self) -> Vec<(String, Vec<usize>)> {
        let [vocabulary, width, neurons] =
            [self.vocabulary, self.width, self.neurons].map(|size| size as usize);
        let mut shapes = vec![("model.embed_tokens.weight".to_owned(), vec![vocabulary, width])];
        for layer in 0..self.layers {
            let parts = [
                ("input_layernorm", vec![width]),
                ("self_attn.q_proj", vec![width, width]),
                ("self_attn.k_proj", vec![width, width]),
                ("self_attn.v_proj", vec![width, width]),
                ("self_attn.o_proj", vec![width, width]),
                ("post_attention_layernorm", vec![width]),
                ("mlp.gate_proj", vec![neurons, width]),
                ("mlp.up_proj", vec![neurons, width]),
                ("mlp.down_proj", vec![width, neurons]),
            ];
            let name = |part| format!("model.layers.{layer}.{part}.weight");
            shapes.extend(parts.map(|(part, shape)| (name(part), shape)));
        }
        shapes.push(("model.norm.weight".to_owned(), vec![width]));
        shapes.push(("lm_head.weight".to_owned(), vec![vocabulary, width]));
        shapes
    }

    /// The fields of config.json.
    pub(crate) fn config(self) -> String {
        format!(
            r#"{{"architectures": ["LlamaForCausalLM"], "vocab_size": {}, "hidden_size": {},
            "intermediate_size": {}, "num_hidden_layers": {}, "num_attention_heads": {},
            "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "max_position_embeddings": 64,
            "tie_word_embeddings": false}}"#,
            self.vocabulary, self.width, self.neurons, self.layers, self.heads
        )
    }

    /// The name that llama.cpp has for a tensor.
    pub(crate) fn gguf_name(name: &str) -> String {
        let parts = [
            ("model.embed_tokens", "token_embd"),
            ("model.norm", "output_norm"),
            ("lm_head", "output"),
            ("model.layers", "blk"),
            ("input_layernorm", "attn_norm"),
            ("self_attn.q_proj", "attn_q"),
            ("self_attn.k_proj", "attn_k"),
            ("self_attn.v_proj", "attn_v"),
            ("self_attn.o_proj", "attn_output"),
            ("post_attention_layernorm", "ffn_norm"),
            ("mlp.gate_proj", "ffn_gate"),
            ("mlp.up_proj", "ffn_up"),
            ("mlp.down_proj", "ffn_down"),
        ];
        parts.iter().fold(name.to_owned(), |name, (hub, own)| name.replace(hub, own))
    }
}
