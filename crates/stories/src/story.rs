//! One text: a plot with its sentences, drawn until it fits.

use std::ops::RangeInclusive;

use crate::{
    draw::Draw,
    item::LONGEST_DISTANCE,
    plot::{Plot, Shape},
    render,
    split::Split,
    templates::Register,
    text::pieces,
    words::Listed,
    world::Event,
};

/// Most pieces of a text (see [`pieces`]): with a token in front and a blank line behind it fits 256
/// positions.
pub const MOST_PIECES: usize = 252;

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
    /// Draws stories of a shape until one is short enough.
    pub(crate) fn new(draw: &mut Draw, split: Split, shape: Shape) -> Self {
        loop {
            let plot = Plot::new(draw, split, shape);
            let sentences = render::sentences(draw, shape.register, &plot);
            let story = Self { plot, sentences };
            if story.length() <= MOST_PIECES {
                return story;
            }
        }
    }

    fn length(&self) -> usize {
        self.sentences.iter().map(|sentence| pieces(sentence)).sum()
    }

    /// The word that the last question asks for.
    pub(crate) fn answer(&self) -> &'static str {
        match self.plot.events[self.plot.recalled] {
            Event::CoachWas { town } => town.word(),
            Event::StrayWas { animal } => animal.word(),
            Event::MealWas { dish } => dish.word(),
            // A plot recalls by one of these three.
            _ => "",
        }
    }
}
