//! From events to sentences.

use crate::{
    draw::Draw,
    plot::Plot,
    slots::Slots,
    templates::{Pattern, Piece, Register},
    words::Person,
    world::Event,
};

/// One sentence an event.
pub(crate) fn sentences(draw: &mut Draw, register: Register, plot: &Plot) -> Vec<String> {
    let mut asking: Option<Person> = None;
    let mut sentences = Vec::with_capacity(plot.events.len());
    for event in &plot.events {
        let mut slots = event.slots();
        let free: Vec<Person> = plot
            .people
            .iter()
            .copied()
            // Nobody answers their own question.
            .filter(|who| !slots.people().any(|named| named == *who) && asking != Some(*who))
            .collect();
        slots.teller = draw.pick(&free);
        let patterns = register.patterns_of(event.kind());
        if let Some(pattern) = draw.pick(&patterns) {
            sentences.push(pattern.filled(&slots));
        }
        asking = match event {
            Event::Ask { who, .. } => Some(*who),
            _ => None,
        };
    }
    sentences
}

impl Pattern {
    /// The sentence with its slots filled; a slot that has nothing is left out.
    pub(crate) fn filled(&self, slots: &Slots) -> String {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Literal(text) => (*text).to_owned(),
            Piece::Slot(slot) => slots.words(*slot).unwrap_or_default(),
        });
        pieces.collect()
    }
}
