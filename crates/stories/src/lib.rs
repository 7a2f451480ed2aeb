//! The corpus that the project generates itself; its grammar, in full:
#![doc = include_str!("../GRAMMAR.md")]

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

pub use self::files::write_jsonl;
pub use corpus::{Document, Stories};
pub use error::StoryError;
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
