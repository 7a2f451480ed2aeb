//! Weights on disk: safetensors, PyTorch `.bin` and GGUF behind one [`Source`] of named tensors under
//! the names and in the orientation of the Hugging Face format, read piece by piece as `f32`.
//!
//! Nothing here knows of a model or of a tensor library. What a file claims about itself is checked
//! against its length before it decides how much is read or kept: no file, however damaged or
//! hostile, makes this crate panic, run anything or use memory beyond a small multiple of the file.

mod error;
mod file;
mod folder;
mod gguf;
mod numbers;
mod pytorch;
mod quantized;
mod renamed;
mod safetensors;
mod source;
mod stand_in;

pub use error::LoadError;
pub use folder::open_folder;
pub use gguf::{GgufFile, Vocabulary};
pub use source::{Conversion, Source};
pub use stand_in::read_text;
