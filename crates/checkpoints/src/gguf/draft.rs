//! GGUF files, written tensor by tensor (the format: `docs/gguf.md` of ggml, version 3).

use std::{io::Write as _, path::Path};

use candle_core::{
    Device, Tensor,
    quantized::{GgmlDType, QTensor},
};
use files::{Draft, WriteError};
use half::f16;

use super::header::{DEFAULT_ALIGNMENT, MAGIC};

const VERSION: u32 = 3;

/// A value of the metadata.
#[derive(Clone, Debug, PartialEq)]
pub enum GgufValue {
    /// A count or an id.
    U32(u32),
    /// A number.
    F32(f32),
    /// A flag.
    Bool(bool),
    /// A text.
    Text(String),
    /// A list of texts.
    Texts(Vec<String>),
    /// A list of numbers.
    F32s(Vec<f32>),
    /// A list of kinds.
    I32s(Vec<i32>),
    /// A list of bytes.
    U8s(Vec<u8>),
}

impl GgufValue {
    fn write(&self, out: &mut Vec<u8>) {
        const LIST: u32 = 9;
        let code = |code: u32, out: &mut Vec<u8>| out.extend(code.to_le_bytes());
        let list = |of: u32, length: usize, out: &mut Vec<u8>| {
            code(LIST, out);
            code(of, out);
            out.extend((length as u64).to_le_bytes());
        };
        match self {
            Self::U32(value) => {
                code(4, out);
                out.extend(value.to_le_bytes());
            }
            Self::F32(value) => {
                code(6, out);
                out.extend(value.to_le_bytes());
            }
            Self::Bool(value) => {
                code(7, out);
                out.push(u8::from(*value));
            }
            Self::Text(value) => {
                code(8, out);
                text(value, out);
            }
            Self::Texts(values) => {
                list(8, values.len(), out);
                values.iter().for_each(|value| text(value, out));
            }
            Self::F32s(values) => {
                list(6, values.len(), out);
                values.iter().for_each(|value| out.extend(value.to_le_bytes()));
            }
            Self::I32s(values) => {
                list(5, values.len(), out);
                values.iter().for_each(|value| out.extend(value.to_le_bytes()));
            }
            Self::U8s(values) => {
                list(0, values.len(), out);
                out.extend(values);
            }
        }
    }
}

fn text(text: &str, out: &mut Vec<u8>) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// The number types that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GgufType {
    /// Whole.
    F32,
    /// Half.
    F16,
    /// 8 bits, and a scale for every 32 values.
    Q8_0,
    /// 4 bits, and a scale for every 32 values.
    Q4_0,
}

impl GgufType {
    /// As llama.cpp calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Q8_0 => "Q8_0",
            Self::Q4_0 => "Q4_0",
        }
    }

    /// ggml's number of it.
    fn code(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q8_0 => 8,
        }
    }

    /// Values of a block; blocks fill the rows of a tensor.
    pub fn block(self) -> usize {
        match self {
            Self::F32 | Self::F16 => 1,
            Self::Q8_0 | Self::Q4_0 => 32,
        }
    }

    /// Bytes of so many values, which are whole blocks.
    fn bytes(self, values: usize) -> u64 {
        let (blocks, size) = (
            values / self.block(),
            match self {
                Self::F32 => 4,
                Self::F16 => 2,
                Self::Q8_0 => 2 + 32,
                Self::Q4_0 => 2 + 16,
            },
        );
        (blocks * size) as u64
    }

    /// Values as they lie in a file. Rounding is candle's, which is that of llama.cpp's reference.
    fn encode(self, values: Vec<f32>) -> candle_core::Result<Vec<u8>> {
        let dtype = match self {
            Self::F32 => return Ok(values.iter().flat_map(|v| v.to_le_bytes()).collect()),
            Self::F16 => {
                return Ok(values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect());
            }
            Self::Q8_0 => GgmlDType::Q8_0,
            Self::Q4_0 => GgmlDType::Q4_0,
        };
        let length = values.len();
        let tensor = Tensor::from_vec(values, length, &Device::Cpu)?;
        Ok(QTensor::quantize(&tensor, dtype)?.data()?.into_owned())
    }
}

/// A tensor that will be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GgufTensor {
    /// Its name in the file.
    pub name: String,
    /// Lengths of its axes, rows first.
    pub shape: Vec<usize>,
    /// Its number type, whose blocks fill its rows.
    pub dtype: GgufType,
}

impl GgufTensor {
    /// Bytes that it takes.
    pub fn bytes(&self) -> u64 {
        self.dtype.bytes(self.shape.iter().product())
    }
}

/// A GGUF file that has no name yet, with its header written. It appears complete or not at all.
#[derive(Debug)]
pub struct GgufDraft {
    draft: Draft,
    /// What is still to come, the next one last.
    left: Vec<GgufTensor>,
}

impl GgufDraft {
    /// Begins the file that will be `path`, with this metadata and these tensors, in this order.
    ///
    /// # Errors
    /// What the disk refuses.
    ///
    /// # Panics
    /// Where blocks do not fill the rows of a tensor.
    pub fn begin(
        path: &Path,
        metadata: &[(String, GgufValue)],
        tensors: &[GgufTensor],
    ) -> Result<Self, WriteError> {
        let mut header = Vec::new();
        header.extend(MAGIC);
        header.extend(VERSION.to_le_bytes());
        header.extend((tensors.len() as u64).to_le_bytes());
        header.extend((metadata.len() as u64).to_le_bytes());
        for (key, value) in metadata {
            text(key, &mut header);
            value.write(&mut header);
        }
        let mut start = 0_u64;
        for tensor in tensors {
            let row = tensor.shape.last().copied().unwrap_or(1);
            assert!(row.is_multiple_of(tensor.dtype.block()), "rows of `{}`", tensor.name);
            text(&tensor.name, &mut header);
            header.extend((tensor.shape.len() as u32).to_le_bytes());
            for length in tensor.shape.iter().rev() {
                header.extend((*length as u64).to_le_bytes());
            }
            header.extend(tensor.dtype.code().to_le_bytes());
            header.extend(start.to_le_bytes());
            start = (start + tensor.bytes()).next_multiple_of(DEFAULT_ALIGNMENT);
        }
        let mut draft =
            Self { draft: Draft::begin(path)?, left: tensors.iter().rev().cloned().collect() };
        draft.aligned(header)?;
        Ok(draft)
    }

    /// Bytes, and zeros up to where the next tensor may start.
    fn aligned(&mut self, mut bytes: Vec<u8>) -> Result<(), WriteError> {
        bytes.resize((bytes.len() as u64).next_multiple_of(DEFAULT_ALIGNMENT) as usize, 0);
        let path = self.draft.path().to_owned();
        self.draft.file().write_all(&bytes).map_err(|source| WriteError {
            action: "write",
            path,
            source,
        })
    }

    /// The tensor that comes next.
    pub fn next_tensor(&self) -> Option<&GgufTensor> {
        self.left.last()
    }

    /// Writes the values of the next tensor in its number type.
    ///
    /// # Errors
    /// What the disk refuses.
    ///
    /// # Panics
    /// Where no tensor is left, or it has another number of values.
    pub fn write(&mut self, values: Vec<f32>) -> Result<(), WriteError> {
        let next = self.left.pop().expect("a tensor is left");
        assert_eq!(
            values.len(),
            next.shape.iter().product::<usize>(),
            "the values of `{}`",
            next.name
        );
        let bytes = next.dtype.encode(values).map_err(|error| WriteError {
            action: "encode a tensor of",
            path: self.draft.path().to_owned(),
            source: std::io::Error::other(error.to_string()),
        })?;
        assert_eq!(bytes.len() as u64, next.bytes(), "the bytes of `{}`", next.name);
        self.aligned(bytes)
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// What the disk refuses.
    ///
    /// # Panics
    /// Where a tensor is left.
    pub fn finish(self) -> Result<(), WriteError> {
        assert!(self.left.is_empty(), "tensors are left: {:?}", self.left);
        self.draft.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GgufFamily, GgufFile, Source};

    /// Every number type and kind of metadata, read by the reader of this crate.
    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.gguf");
        let family = GgufFamily::of_class("LlamaForCausalLM").unwrap();
        let metadata = [
            ("general.architecture", GgufValue::Text("llama".to_owned())),
            ("llama.attention.head_count", GgufValue::U32(2)),
            ("llama.attention.head_count_kv", GgufValue::U32(1)),
            ("tokenizer.ggml.model", GgufValue::Text("gpt2".to_owned())),
            ("tokenizer.ggml.tokens", GgufValue::Texts(vec!["a".to_owned(), "é".to_owned()])),
            ("tokenizer.ggml.scores", GgufValue::F32s(vec![0.5, -1.0])),
            ("tokenizer.ggml.token_type", GgufValue::I32s(vec![1, 3])),
            ("tokenizer.ggml.precompiled_charsmap", GgufValue::U8s(vec![7, 8])),
            ("tokenizer.ggml.add_bos_token", GgufValue::Bool(true)),
            ("other", GgufValue::F32(0.25)),
        ]
        .map(|(key, value)| (key.to_owned(), value));
        let tensors = [
            ("model.layers.0.self_attn.q_proj.weight", vec![8, 64], GgufType::F32),
            ("model.layers.0.self_attn.k_proj.weight", vec![4, 64], GgufType::F16),
            ("model.layers.0.mlp.up_proj.weight", vec![3, 64], GgufType::Q8_0),
            ("model.layers.0.mlp.down_proj.weight", vec![3, 32], GgufType::Q4_0),
            ("model.norm.weight", vec![5], GgufType::F32),
        ];
        let planned: Vec<GgufTensor> = tensors
            .iter()
            .map(|(hub, shape, dtype)| GgufTensor {
                name: family.tensor(hub).unwrap(),
                shape: shape.clone(),
                dtype: *dtype,
            })
            .collect();
        // Steps of a 16th, so that half floats hold them.
        let values = |shape: &[usize]| -> Vec<f32> {
            (0..shape.iter().product()).map(|i: usize| (i * 7 % 31) as f32 / 16.0 - 1.0).collect()
        };
        let mut draft = GgufDraft::begin(&path, &metadata, &planned).unwrap();
        while let Some(next) = draft.next_tensor().cloned() {
            let own = family.values(&next.name, &next.shape, values(&next.shape), [2, 1]);
            draft.write(own).unwrap();
        }
        assert!(!path.exists());
        draft.finish().unwrap();

        let file = GgufFile::open(&path).unwrap();
        for (hub, shape, dtype) in &tensors {
            assert_eq!(file.shape(hub).as_ref(), Some(shape), "{hub}");
            assert_eq!(file.conversion(hub).unwrap().dtype, dtype.name());
            let apart = file.values(hub).unwrap().into_iter().zip(values(shape));
            // NaN stays, and is within no bound.
            let largest = |most: f32, d: f32| if d > most || d.is_nan() { d } else { most };
            let most = apart.map(|(a, b)| (a - b).abs()).fold(0.0, largest);
            // Half a step of the widest scale, and what the half float of the scale loses.
            let bound = match dtype {
                GgufType::F32 | GgufType::F16 => 0.0,
                GgufType::Q8_0 => 0.5 / 127.0 + 1e-3,
                GgufType::Q4_0 => 1.0 / 8.0 + 1e-3,
            };
            assert!(most <= bound, "{hub}: {most}");
        }
        let vocabulary = file.vocabulary().unwrap();
        assert_eq!(vocabulary.tokens, ["a", "é"]);
        assert_eq!(vocabulary.kinds, Some(vec![1, 3]));
        assert_eq!(vocabulary.scores, Some(vec![0.5, -1.0]));
        assert_eq!(vocabulary.charsmap, Some(vec![7, 8]));
        assert_eq!(vocabulary.add_bos, Some(true));
    }
}
