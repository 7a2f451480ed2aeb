//! A model that was cut, as others read it: an ordinary Hugging Face folder, which transformers opens with
//! no code of this project, or a GGUF file, which llama.cpp runs (docs/SPEC.md section 16).
//!
//! A folder appears whole or not at all, and is written tensor by tensor. What a format cannot say is
//! either written so that the numbers stay the same, with a note of what that costs, or refused.
//!
//! # Example
//!
//! Half of the neurons of a model of this project, chosen blindly:
//!
//! ```
//! use std::path::Path;
//!
//! use cuts::Slim;
//! use export::{Beside, Form, Settings, Subject, Watch, export};
//! use models::{Device, load};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let source = Path::new("../../data/models/opt-relu");
//! let loaded = load(source, &Device::flex())?;
//! let half: Vec<usize> = (0..256).collect();
//! let ffns = loaded.model.ffns().iter().map(|ffn| ffn.cut(&half)).collect();
//! let slim = Slim::dense(loaded.model.with_ffns(ffns));
//!
//! # let place = tempfile::tempdir()?;
//! let out = place.path().join("half");
//! let subject = Subject { slim: &slim, source, whole: &loaded.facts };
//! let settings = Settings::new(&out, Form::named("f16").expect("it is a form"));
//! let written = export(&subject, &settings, &Beside::default(), &Watch::default())?;
//! assert_eq!(load(&out, &Device::flex())?.facts.neurons, 256);
//! assert!(written.notes.is_empty());
//! # Ok(())
//! # }
//! ```

mod ahead;
mod card;
mod entries;
mod error;
mod files_beside;
mod folder;
mod form;
mod gguf;
mod notes;
mod packed;
mod widths;

pub use ahead::Ahead;
pub use card::{Card, StepWords};
pub use error::ExportError;
pub use files_beside::{Beside, Content, TAKEN, taken_along};
pub use folder::{Settings, Subject, Written, WrittenFile, check, export};
pub use form::Form;
pub use gguf::GgufTokenizer;

/// Who looks on while a model is written, and may stop it.
pub struct Watch<'a> {
    /// Bytes that are written, and how many there are.
    pub progress: &'a dyn Fn(u64, u64),
    /// Whether to stop.
    pub stop: &'a dyn Fn() -> bool,
}

impl Default for Watch<'_> {
    fn default() -> Self {
        Self { progress: &|_, _| {}, stop: &|| false }
    }
}
