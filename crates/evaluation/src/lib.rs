//! Runs the requests of a protocol over a model with an executor: one result a request, never an average.
//!
//! # Example
//!
//! ```
//! use std::path::Path;
//!
//! use corpora::{Ask, Source, Text, Tokenizer, task};
//! use evaluation::{Passes, evaluate};
//! use models::{Dense, Device, load};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = Path::new("../../data/models/opt-relu");
//! let text = Text::read(Path::new("../../data/stories/narrative.test.jsonl"))?;
//! let tokenizer = Tokenizer::from_folder(folder)?;
//! let model = load(folder, &Device::flex())?.model;
//!
//! let ask = Ask { tokenizer: &tokenizer, max_positions: 512, limit: Some(2) };
//! let windows = task("ppl-256")?.items(Source::Text(&text), ask)?.items;
//! let results = evaluate(model.as_ref(), &mut Dense, &windows, Passes::Whole, None)?;
//! let nll: f64 = results.iter().map(|window| -window.logprob_nats).sum();
//! let targets: usize = results.iter().map(|window| window.n_targets).sum();
//! assert_eq!(targets, 2 * 255);
//! // It was trained on such stories: far below the size of its vocabulary.
//! assert!((nll / targets as f64).exp() < 10.0);
//! # Ok(())
//! # }
//! ```

mod evaluate;
mod passes;

pub use evaluate::{RequestResult, evaluate};
pub use passes::{Passes, tokens_read};
