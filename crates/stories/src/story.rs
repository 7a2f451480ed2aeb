//! One text: a plot with its sentences, drawn until it fits.

use std::ops::RangeInclusive;

use crate::{
    author::CAST,
    draw::Draw,
    item::LONGEST_DISTANCE,
    plot::{Plot, Question, Shape},
    render,
    split::Split,
    templates::Register,
    text::{pieces, words},
    words::Listed,
    world::Event,
};

/// Most pieces of a text (see [`pieces`]): with a token in front and a blank line behind it fits 256
/// positions.
pub const MOST_PIECES: usize = 252;

/// From this distance on, at least three of the four candidates are named between the settling
/// sentence and the last one.
pub const CROWDED_FROM: u32 = 6;

/// A text and what happens in it, one sentence an event.
pub(crate) struct Story {
    pub(crate) plot: Plot,
    pub(crate) sentences: Vec<String>,
}

/// Distances, in sentences, of the documents of a register.
pub(crate) fn distances(register: Register) -> RangeInclusive<u32> {
    match register {
        Register::Narrative => 1..=LONGEST_DISTANCE,
        // A line of talk has nearly twice the pieces of a sentence told.
        Register::Dialogue => 1..=9,
        // Every thing is counted in the end.
        Register::Inventory => 1..=14,
    }
}

impl Story {
    /// Draws stories of a shape until one is short enough and names enough candidates.
    pub(crate) fn new(draw: &mut Draw, split: Split, shape: Shape) -> Self {
        loop {
            let plot = Plot::new(draw, split, shape);
            let sentences = render::sentences(draw, shape.register, &plot);
            let story = Self { plot, sentences };
            if story.length() <= MOST_PIECES && story.is_crowded(shape) {
                return story;
            }
        }
    }

    fn length(&self) -> usize {
        self.sentences.iter().map(|sentence| pieces(sentence)).sum()
    }

    /// The person or place that the last question asks for.
    pub(crate) fn answer(&self) -> &'static str {
        match self.plot.events[self.plot.recalled] {
            Event::HolderIs { who, .. } => who.word(),
            Event::PlaceIs { place, .. } => place.word(),
            // A plot recalls by one of these two.
            _ => "",
        }
    }

    /// Whether three of the four people (of the four places) are named between the settling sentence
    /// and the last one, where the distance leaves room for it. Which one is missing does not count:
    /// were the answer alone allowed to be, it could be guessed.
    fn is_crowded(&self, shape: Shape) -> bool {
        if shape.distance < CROWDED_FROM as usize {
            return true;
        }
        let between = &self.sentences[self.plot.settled + 1..self.plot.recalled];
        let named = |name: &str| between.iter().any(|s| words(s).any(|word| word == name));
        let candidates: Vec<&str> = match shape.question {
            Question::Holder => self.plot.people.iter().map(|who| who.word()).collect(),
            Question::Place => self.plot.places.iter().map(|place| place.word()).collect(),
        };
        candidates.into_iter().filter(|name| named(name)).count() + 1 >= CAST
    }
}
