//! GGUF files of the Llama family, under the names and in the order of the Hugging Face format.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use candle_core::{
    Device as CandleDevice,
    quantized::gguf_file::{Content, Value},
};

use super::Source;
use crate::{architectures::HubConfig, error::LoadError};

/// A GGUF file with its header read.
pub(crate) struct GgufFile {
    path: PathBuf,
    content: Content,
    reader: RefCell<BufReader<File>>,
    /// Hugging Face name to the name in the file.
    names: BTreeMap<String, String>,
}

impl GgufFile {
    /// Reads the header and checks that every tensor lies inside the file.
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        let io = |source| LoadError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let mut reader = BufReader::new(file);
        let content = Content::read(&mut reader).map_err(|e| LoadError::Damaged {
            path: path.to_owned(),
            reason: format!("its header cannot be read: {e}"),
        })?;
        check_extent(path, &content, length)?;
        let names = content
            .tensor_infos
            .keys()
            .map(|name| (hub_name(name).unwrap_or_else(|| name.clone()), name.clone()))
            .collect();
        Ok(Self { path: path.to_owned(), content, reader: RefCell::new(reader), names })
    }

    fn field<T>(&self, key: &str, convert: impl Fn(&Value) -> Option<T>) -> Result<T, LoadError> {
        let value = self.content.metadata.get(key).ok_or_else(|| self.bad(key, "is missing"))?;
        convert(value).ok_or_else(|| self.bad(key, "has an unexpected type"))
    }

    fn bad(&self, key: &str, reason: &str) -> LoadError {
        LoadError::Config {
            path: self.path.clone(),
            field: key.to_owned(),
            reason: reason.to_owned(),
        }
    }

    fn count(&self, key: &str) -> Result<usize, LoadError> {
        self.field(key, |v| {
            v.to_u64()
                .ok()
                .and_then(|v| usize::try_from(v).ok())
                .or_else(|| v.to_u32().ok().map(|v| v as usize))
        })
    }

    fn real(&self, key: &str) -> Result<f64, LoadError> {
        self.field(key, |v| v.to_f64().ok().or_else(|| v.to_f32().ok().map(f64::from)))
    }

    /// The fields of config.json that the file's metadata stand for.
    pub(crate) fn config(&self) -> Result<HubConfig, LoadError> {
        let architecture = self.field("general.architecture", |v| v.to_string().ok().cloned())?;
        if architecture != "llama" {
            return Err(LoadError::UnknownArchitecture {
                path: self.path.clone(),
                found: architecture,
                known: vec!["llama"],
            });
        }
        let hidden_size = self.count("llama.embedding_length")?;
        let heads = self.count("llama.attention.head_count")?;
        if heads == 0 || hidden_size % heads != 0 {
            return Err(self.bad(
                "llama.attention.head_count",
                &format!("is {heads}, which does not divide embedding_length {hidden_size}"),
            ));
        }
        let fields = serde_json::json!({
            "architectures": ["LlamaForCausalLM"],
            "vocab_size": self.vocabulary_size()?,
            "hidden_size": hidden_size,
            "intermediate_size": self.count("llama.feed_forward_length")?,
            "num_hidden_layers": self.count("llama.block_count")?,
            "num_attention_heads": heads,
            "num_key_value_heads": self.count("llama.attention.head_count_kv").unwrap_or(heads),
            "head_dim": self.count("llama.attention.key_length").unwrap_or(hidden_size / heads),
            "rms_norm_eps": self.real("llama.attention.layer_norm_rms_epsilon")?,
            "rope_theta": self.real("llama.rope.freq_base").unwrap_or(10_000.0),
            "max_position_embeddings": self.count("llama.context_length")?,
            "tie_word_embeddings": !self.names.contains_key("lm_head.weight"),
        });
        let serde_json::Value::Object(fields) = fields else { unreachable!("it is an object") };
        Ok(HubConfig::from_fields(&self.path, fields))
    }

    fn vocabulary_size(&self) -> Result<usize, LoadError> {
        self.field("tokenizer.ggml.tokens", |v| v.to_vec().ok().map(Vec::len))
    }

    /// Rows of a query or key projection in the order of the Hugging Face format.
    ///
    /// The converter of llama.cpp interleaves the two halves of every head, since it turns
    /// neighbours where the Hugging Face code turns entry `i` with entry `i + head_dim/2`.
    fn uninterleaved(&self, values: &[f32], row: usize, heads: usize) -> Vec<f32> {
        let rows = values.len() / row;
        let half = rows / heads / 2;
        let mut out = Vec::with_capacity(values.len());
        for head in 0..heads {
            for part in 0..2 {
                for i in 0..half {
                    let from = (head * half + i) * 2 + part;
                    out.extend_from_slice(&values[from * row..(from + 1) * row]);
                }
            }
        }
        out
    }

    /// Heads of a projection whose rows are interleaved; `None` for every other tensor.
    fn interleaved_heads(&self, name: &str) -> Option<usize> {
        let key = if name.ends_with("attn_q.weight") {
            "llama.attention.head_count"
        } else if name.ends_with("attn_k.weight") {
            "llama.attention.head_count_kv"
        } else {
            return None;
        };
        self.count(key).ok()
    }
}

fn check_extent(path: &Path, content: &Content, length: u64) -> Result<(), LoadError> {
    let mut names: Vec<&String> = content.tensor_infos.keys().collect();
    names.sort();
    for name in names {
        let info = &content.tensor_infos[name];
        let blocks = info.shape.elem_count().div_ceil(info.ggml_dtype.block_size());
        let bytes = (blocks * info.ggml_dtype.type_size()) as u64;
        let end = content.tensor_data_offset.saturating_add(info.offset).saturating_add(bytes);
        if end > length {
            return Err(LoadError::Damaged {
                path: path.to_owned(),
                reason: format!("tensor `{name}` ends at byte {end}, the file at {length}"),
            });
        }
    }
    Ok(())
}

/// The Hugging Face name of a tensor of a Llama-family GGUF file.
fn hub_name(name: &str) -> Option<String> {
    match name {
        "token_embd.weight" => return Some("model.embed_tokens.weight".to_owned()),
        "output_norm.weight" => return Some("model.norm.weight".to_owned()),
        "output.weight" => return Some("lm_head.weight".to_owned()),
        _ => {}
    }
    let (layer, part) = name.strip_prefix("blk.")?.split_once('.')?;
    let part = match part.strip_suffix(".weight")? {
        "attn_norm" => "input_layernorm",
        "attn_q" => "self_attn.q_proj",
        "attn_k" => "self_attn.k_proj",
        "attn_v" => "self_attn.v_proj",
        "attn_output" => "self_attn.o_proj",
        "ffn_norm" => "post_attention_layernorm",
        "ffn_gate" => "mlp.gate_proj",
        "ffn_up" => "mlp.up_proj",
        "ffn_down" => "mlp.down_proj",
        _ => return None,
    };
    Some(format!("model.layers.{layer}.{part}.weight"))
}

impl Source for GgufFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn file_of(&self, _name: &str) -> PathBuf {
        self.path.clone()
    }

    fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let info = self.content.tensor_infos.get(self.names.get(name)?)?;
        Some(info.shape.dims().to_vec())
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, LoadError> {
        let in_file = self.names.get(name).ok_or_else(|| LoadError::MissingTensor {
            path: self.path.clone(),
            tensor: name.to_owned(),
        })?;
        let damaged = |e: candle_core::Error| LoadError::Damaged {
            path: self.path.clone(),
            reason: format!("tensor `{in_file}`: {e}"),
        };
        let device = CandleDevice::Cpu;
        let values = self
            .content
            .tensor(&mut *self.reader.borrow_mut(), in_file, &device)
            .and_then(|tensor| tensor.dequantize(&device))
            .and_then(|tensor| tensor.flatten_all()?.to_vec1::<f32>())
            .map_err(damaged)?;
        Ok(match (self.interleaved_heads(in_file), self.shape(name).as_deref()) {
            (Some(heads), Some([rows, row])) if heads > 0 && rows % (2 * heads) == 0 => {
                self.uninterleaved(&values, *row, heads)
            }
            _ => values,
        })
    }
}

/// What a GGUF file says of its tokenizer: enough to rebuild a byte-level BPE tokenizer.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// Token texts in id order, in the byte-level alphabet.
    pub tokens: Vec<String>,
    /// Whether the token of each id is a control token (`<|endoftext|>` and the like).
    pub control: Vec<bool>,
    /// Merge rules `"left right"`, strongest first.
    pub merges: Vec<String>,
    /// Kind of model, `gpt2` for byte-level BPE.
    pub model: String,
    /// Name of the pre-tokenizer, such as `smollm`.
    pub pre_tokenizer: String,
    /// Id put in front of every text, if the file asks for it.
    pub bos: Option<u32>,
}

/// Reads the tokenizer of a GGUF file.
///
/// # Errors
/// A damaged header, or metadata without a tokenizer.
pub fn gguf_vocabulary(path: &Path) -> Result<Vocabulary, LoadError> {
    const CONTROL: i64 = 3;
    let file = GgufFile::open(path)?;
    let texts = |v: &Value| -> Option<Vec<String>> {
        v.to_vec().ok()?.iter().map(|t| t.to_string().ok().cloned()).collect()
    };
    let text = |v: &Value| v.to_string().ok().cloned();
    let tokens = file.field("tokenizer.ggml.tokens", texts)?;
    let control = file.field("tokenizer.ggml.token_type", |v| {
        let kinds = v.to_vec().ok()?;
        kinds
            .iter()
            .map(|k| Some(k.to_i64().ok().or(k.to_i32().ok().map(i64::from))? == CONTROL))
            .collect()
    })?;
    let add_bos = file.field("tokenizer.ggml.add_bos_token", |v| v.to_bool().ok()).unwrap_or(false);
    let bos = match add_bos {
        true => Some(file.count("tokenizer.ggml.bos_token_id")? as u32),
        false => None,
    };
    Ok(Vocabulary {
        tokens,
        control,
        merges: file.field("tokenizer.ggml.merges", texts)?,
        model: file.field("tokenizer.ggml.model", text)?,
        pre_tokenizer: file.field("tokenizer.ggml.pre", text)?,
        bos,
    })
}
