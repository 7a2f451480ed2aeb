//! The corpus that the project generates itself; its grammar, in full:
#![doc = include_str!("../GRAMMAR.md")]
//!
//! # Example
//!
//! ```
//! use stories::{Distances, Register, Split, Stories, answers};
//!
//! let stories = Stories::new(1);
//! let document = stories.document(Split::Test, Register::Narrative, 0);
//! assert_eq!(document, Stories::new(1).document(Split::Test, Register::Narrative, 0));
//!
//! // A passage of the last-word task has one answer, which its last word is.
//! let item = stories.item(Split::Test, Distances::new(5, 5)?, 0);
//! assert_eq!(item.distance_sentences, 5);
//! assert!(item.text.ends_with(&item.answer));
//! assert_eq!(answers(&item.text).unwrap(), [item.answer.as_str()]);
//! # Ok::<(), stories::DistanceError>(())
//! ```

mod author;
mod corpus;
mod draw;
mod error;
mod files;
mod item;
mod ngram;
mod overlap;
mod plot;
mod read;
mod render;
mod slots;
mod split;
mod story;
mod templates;
mod text;
mod tokenizer;
mod words;
mod world;

pub use corpus::{Document, Stories};
pub use error::StoryError;
pub use files::write_jsonl;
pub use item::{DistanceError, Distances, Item, LONGEST_DISTANCE};
pub use ngram::{Loss, NGram};
pub use overlap::Runs;
pub use plot::Question;
pub use read::{ReadError, Reading, answers};
pub use split::Split;
pub use story::MOST_PIECES;
pub use templates::Register;
pub use text::{pieces, sentences, words};
pub use tokenizer::{BEGINNING, VOCABULARY, save_tokenizer, train_tokenizer};
pub use words::{
    Activity, Animal, Dish, Feeling, Hour, Person, Place, Scene, Thing, Town, Weather,
};
pub use world::{Contradiction, Event, Whereabouts, World};
