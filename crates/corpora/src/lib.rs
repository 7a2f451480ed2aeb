//! Texts, tokenizers, and what the evaluation protocols cut out of them.

mod error;
mod formats;
mod lambada;
mod overlap;
mod perplexity;
mod text;
mod tokenizer;

pub use error::CorpusError;
pub use lambada::{Item, last_token_items, openai_items};
pub use overlap::shared_document;
pub use perplexity::windows;
pub use text::{Reading, Shape, Text};
pub use tokenizer::{Metadata, Tokenizer, parse_sentencepiece};
