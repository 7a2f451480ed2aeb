//! Documents and items by their address: seed, split, register or task, index.

use serde::Serialize;

use crate::{
    draw::Draw,
    item::{Distances, Item},
    plot::{Question, Shape},
    split::Split,
    story::{Story, distances},
    templates::Register,
};

/// A text of the corpus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Document {
    /// Sentences with a space between them.
    pub text: String,
}

/// The corpus of one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stories {
    seed: u64,
}

/// What a text is drawn for, as a number in its key.
enum Stream {
    Document(Register),
    Item,
}

impl Stories {
    /// The corpus of a seed. A text depends on the seed and on its own address, on nothing else.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// A document by its address.
    pub fn document(&self, split: Split, register: Register, index: u64) -> Document {
        let mut draw = self.draw(split, Stream::Document(register), index);
        let (nearest, farthest) = distances(register).into_inner();
        let distance = nearest as usize + draw.below((farthest - nearest + 1) as usize);
        let question = Question::ALL[draw.below(Question::ALL.len())];
        let story = Story::new(&mut draw, split, Shape { register, question, distance });
        Document { text: story.sentences.join(" ") }
    }

    /// All documents of a split and a register, without end.
    pub fn documents(self, split: Split, register: Register) -> impl Iterator<Item = Document> {
        (0..).map(move |index| self.document(split, register, index))
    }

    /// All documents of a split, the registers in turn, without end.
    pub fn mixture(self, split: Split) -> impl Iterator<Item = Document> {
        (0..).flat_map(move |index| {
            Register::ALL.into_iter().map(move |register| self.document(split, register, index))
        })
    }

    /// An item of the last-word task by its address: a narrative that stops at the word that recalls.
    /// Narratives of the corpus hold the same kind of sentence, at the same distances.
    pub fn item(&self, split: Split, distances: Distances, index: u64) -> Item {
        let mut draw = self.draw(split, Stream::Item, index);
        let (distance, question) = distances.of_item(index);
        let shape = Shape { register: Register::Narrative, question, distance };
        Item::of(&Story::new(&mut draw, split, shape), question)
    }

    /// All items of a split, without end.
    pub fn items(self, split: Split, distances: Distances) -> impl Iterator<Item = Item> {
        (0..).map(move |index| self.item(split, distances, index))
    }

    fn draw(&self, split: Split, stream: Stream, index: u64) -> Draw {
        let split = match split {
            Split::Train => 0,
            Split::Calibration => 1,
            Split::Test => 2,
        };
        let stream = match stream {
            Stream::Document(Register::Narrative) => 0,
            Stream::Document(Register::Dialogue) => 1,
            Stream::Document(Register::Inventory) => 2,
            Stream::Item => 3,
        };
        Draw::new([self.seed, split, stream, index])
    }
}
