//! Runs a protocol over a model with an executor: one result a window or item, never an average.
//!
//! # Example
//!
//! ```
//! use std::path::Path;
//!
//! use corpora::{Text, Tokenizer, windows};
//! use evaluation::evaluate_windows;
//! use models::{Dense, Device, load};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = Path::new("../../data/models/opt-relu");
//! let text = Text::read(Path::new("../../data/stories/narrative.test.jsonl"))?;
//! let (windows, _) = windows(&text, &Tokenizer::from_folder(folder)?, 256, Some(2))?;
//! let model = load(folder, &Device::flex())?.model;
//!
//! let windows: Vec<&[u32]> = windows.iter().map(Vec::as_slice).collect();
//! let results = evaluate_windows(model.as_ref(), &mut Dense, &windows, None)?;
//! let nll: f64 = results.iter().map(|window| window.nll_nats).sum();
//! let targets: usize = results.iter().map(|window| window.n_targets).sum();
//! assert_eq!(targets, 2 * 255);
//! // It was trained on such stories: far below the size of its vocabulary.
//! assert!((nll / targets as f64).exp() < 10.0);
//! # Ok(())
//! # }
//! ```

mod items;
mod windows;

pub use items::{ItemResult, evaluate_items};
pub use windows::{WindowResult, evaluate_windows};
