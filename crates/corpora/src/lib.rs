//! Texts, items and tokenizers, and what the evaluation protocols ask of a model with them.
//!
//! # Example
//!
//! The windows of a text of this project, under one of its tokenizers:
//!
//! ```
//! use std::path::Path;
//!
//! use corpora::{Text, Tokenizer, windows};
//!
//! let text = Text::read(Path::new("../../data/stories/narrative.test.jsonl"))?;
//! let tokenizer = Tokenizer::from_folder(Path::new("../../data/models/opt-relu"))?;
//! let (windows, n_ids) = windows(&text, &tokenizer, 256, Some(4))?;
//! assert_eq!(windows.len(), 4);
//! assert!(windows.iter().all(|window| window.len() == 256) && n_ids > 4 * 256);
//! # Ok::<(), corpora::CorpusError>(())
//! ```

mod error;
mod formats;
mod lines;
mod overlap;
mod records;
mod request;
mod tasks;
mod text;
mod tokenizer;

pub use error::CorpusError;
pub use overlap::shared_document;
pub use records::{Fields, Records};
pub use request::{Choices, Item, Length, Request};
pub use tasks::{
    Ask, ChoiceTask, Definition, Items, Metric, Question, Source, Task, calibration_windows,
    definitions, last_token_items, openai_items, task, windows,
};
pub use text::{Reading, Shape, Text};
pub use tokenizer::{GgufVocabulary, Metadata, Tokenizer, parse_sentencepiece};
