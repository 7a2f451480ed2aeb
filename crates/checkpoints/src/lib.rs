//! Weights on disk: safetensors, packed matrices among them, PyTorch `.bin` and GGUF behind one [`Source`] of named tensors under
//! the names and in the orientation of the Hugging Face format, read piece by piece as `f32`.
//!
//! What is written, safetensors and GGUF, is written tensor by tensor.
//!
//! Nothing here knows of a model or of a tensor library. What a file claims about itself is checked
//! against its length before it decides how much is read or kept: no file, however damaged or
//! hostile, makes this crate panic, run anything or use memory beyond a small multiple of the file.
//!
//! # Example
//!
//! ```
//! use std::path::Path;
//!
//! use checkpoints::open_folder;
//!
//! let source = open_folder(Path::new("../../data/models/opt-relu"))?;
//! let name = "model.decoder.final_layer_norm.weight";
//! let shape = source.shape(name).unwrap();
//! let values = source.values(name)?;
//! assert_eq!(values.len(), shape.iter().product::<usize>());
//! assert!(values.iter().all(|value| value.is_finite()));
//! # Ok::<(), checkpoints::LoadError>(())
//! ```

mod draft;
mod error;
mod file;
mod folder;
mod gguf;
mod numbers;
mod packed;
mod pytorch;
mod quantized;
mod renamed;
mod safetensors;
mod source;
mod stand_in;

pub use ::safetensors::Dtype;
pub use draft::{Planned, SafetensorsDraft, float_bytes, in_file_order};
pub use error::LoadError;
pub use folder::open_folder;
pub use gguf::{GgufDraft, GgufFamily, GgufFile, GgufTensor, GgufType, GgufValue, Vocabulary};
pub use source::{Conversion, Source};
pub use stand_in::read_text;
