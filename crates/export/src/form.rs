//! The forms that a model is written in.

use std::fmt;

use checkpoints::{Dtype, GgufType};

/// A form, and the number type of what is not rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A Hugging Face folder with F32, F16 or BF16.
    Folder(Dtype),
    /// The same with rounded matrices packed as compressed-tensors does.
    Packed(Dtype),
    /// A GGUF file.
    Gguf(GgufType),
}

impl Form {
    /// Every form under the name that it is asked for by.
    pub const ALL: [(&str, Self); 10] = [
        ("f32", Self::Folder(Dtype::F32)),
        ("f16", Self::Folder(Dtype::F16)),
        ("bf16", Self::Folder(Dtype::BF16)),
        ("packed-f32", Self::Packed(Dtype::F32)),
        ("packed-f16", Self::Packed(Dtype::F16)),
        ("packed-bf16", Self::Packed(Dtype::BF16)),
        ("gguf-f32", Self::Gguf(GgufType::F32)),
        ("gguf-f16", Self::Gguf(GgufType::F16)),
        ("gguf-q8_0", Self::Gguf(GgufType::Q8_0)),
        ("gguf-q4_0", Self::Gguf(GgufType::Q4_0)),
    ];

    /// The form of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(own, _)| *own == name).map(|(_, form)| form)
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.into_iter().find(|(_, form)| form == self).map(|(name, _)| name);
        f.write_str(name.unwrap_or("another form"))
    }
}

/// What transformers calls a number type.
pub(crate) fn torch_name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F16 => "float16",
        Dtype::BF16 => "bfloat16",
        _ => "float32",
    }
}
