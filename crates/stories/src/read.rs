//! Reading a text back: the proof that it is consistent and that its last word has one answer.
//!
//! Nothing of how a text was made is used here, only its words: each sentence is matched with the
//! patterns, the events are replayed in an empty [`World`], and every one must be allowed.

use crate::{
    plot::Question,
    slots::{Kind, Slots},
    split::Split,
    templates::{Pattern, Piece, Register},
    text::sentences,
    words::{Person, Place},
    world::{Contradiction, Event, World},
};

/// Why a text is none of this grammar's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No pattern fits the sentence.
    #[error("sentence {number} fits no pattern: \"{sentence}\"")]
    Unknown {
        /// Counted from 1.
        number: usize,
        /// The sentence.
        sentence: String,
    },
    /// More than one event fits the sentence.
    #[error("sentence {number} can be read in {readings} ways: \"{sentence}\"")]
    Ambiguous {
        /// Counted from 1.
        number: usize,
        /// The sentence.
        sentence: String,
        /// How many.
        readings: usize,
    },
    /// The sentence does not fit those before it.
    #[error("sentence {number}: {source}")]
    Contradiction {
        /// Counted from 1.
        number: usize,
        /// What does not fit.
        source: Contradiction,
    },
    /// The text does not begin with time and weather, then someone somewhere with something.
    #[error("the text does not begin with an opening")]
    NoOpening,
    /// The last sentence has no word before its last.
    #[error("the text has no last word to ask for")]
    NoQuestion,
}

/// A text as the world sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// How it is told.
    pub register: Register,
    /// One event a sentence.
    pub events: Vec<Event>,
    /// What is so at its end.
    pub world: World,
}

impl Reading {
    /// Reads and replays a text.
    ///
    /// # Errors
    /// [`ReadError`] with the first sentence that does not fit.
    pub fn of(text: &str) -> Result<Self, ReadError> {
        Self::of_sentences(&sentences(text))
    }

    fn of_sentences(sentences: &[&str]) -> Result<Self, ReadError> {
        let opens = |register: &Register| {
            let first = sentences.first().map(|first| register.readings(first));
            first.is_some_and(|readings| readings.iter().any(|e| e.kind() == Kind::Open))
        };
        let register = Register::ALL.into_iter().find(opens).ok_or(ReadError::NoOpening)?;
        let mut world = World::default();
        let mut events = Vec::with_capacity(sentences.len());
        for (number, sentence) in (1..).zip(sentences) {
            let readings = register.readings(sentence);
            let sentence = || (*sentence).to_owned();
            let event = match readings[..] {
                [event] => event,
                [] => return Err(ReadError::Unknown { number, sentence: sentence() }),
                _ => {
                    let readings = readings.len();
                    return Err(ReadError::Ambiguous { number, sentence: sentence(), readings });
                }
            };
            world.tell(event).map_err(|source| ReadError::Contradiction { number, source })?;
            events.push(event);
        }
        Ok(Self { register, events, world })
    }

    /// The split to which the text belongs by its opening.
    ///
    /// # Errors
    /// [`ReadError::NoOpening`] where the second sentence shows nobody.
    pub fn split(&self) -> Result<Split, ReadError> {
        match self.events[..] {
            [Event::Open { .. }, Event::Appear { who, place, thing }, ..] => {
                Ok(Split::of_opening(who, thing, place))
            }
            _ => Err(ReadError::NoOpening),
        }
    }

    /// The sentence, counted from 0, that first tells of what a question asks for.
    pub fn settled(&self, question: Question) -> Option<usize> {
        self.events.iter().position(|event| Question::of(event) == Some(question))
    }

    /// The sentence, counted from 0, that last tells of it before the last sentence.
    pub fn named(&self, question: Question) -> Option<usize> {
        let (_, before) = self.events.split_last()?;
        before.iter().rposition(|event| Question::of(event) == Some(question))
    }
}

/// The last-word test of a passage that ends in its last word, without a full stop: every word of the
/// lists of names with which it would be consistent. One is the proof that the text determines its
/// answer.
///
/// # Errors
/// [`ReadError`] where the sentences before the last are inconsistent themselves.
pub fn answers(passage: &str) -> Result<Vec<&'static str>, ReadError> {
    let sentences = sentences(passage);
    let (last, before) = sentences.split_last().ok_or(ReadError::NoQuestion)?;
    let (stem, _) = last.rsplit_once(' ').ok_or(ReadError::NoQuestion)?;
    let reading = Reading::of_sentences(before)?;
    let fits = |word: &str| {
        let sentence = format!("{stem} {word}.");
        matches!(reading.register.readings(&sentence)[..], [event] if reading.world.allows(event))
    };
    let people_and_places = [Person::words(), Place::words()];
    let news = Question::ALL.map(Question::words);
    let names = people_and_places.into_iter().chain(news).flatten().copied();
    Ok(names.filter(|word| fits(word)).collect())
}

impl Register {
    /// Every event that a sentence can tell.
    fn readings(self, sentence: &str) -> Vec<Event> {
        let patterns = self.patterns().iter();
        patterns.flat_map(|pattern| pattern.readings(sentence)).collect()
    }
}

impl Pattern {
    fn readings(&self, sentence: &str) -> Vec<Event> {
        let mut open = vec![(Slots::default(), sentence)];
        for piece in &self.pieces {
            open = match piece {
                Piece::Literal(text) => open
                    .into_iter()
                    .filter_map(|(slots, rest)| Some((slots, rest.strip_prefix(text)?)))
                    .collect(),
                Piece::Slot(slot) => {
                    open.into_iter().flat_map(|(slots, rest)| slots.readings(*slot, rest)).collect()
                }
            };
            if open.is_empty() {
                return Vec::new();
            }
        }
        open.into_iter()
            .filter(|(slots, rest)| rest.is_empty() && slots.names_nobody_twice())
            .filter_map(|(slots, _)| self.kind.event(&slots))
            .collect()
    }
}

impl Slots {
    fn names_nobody_twice(&self) -> bool {
        let people: Vec<Person> = self.people().collect();
        people.iter().enumerate().all(|(i, who)| !people[..i].contains(who))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGINNING: &str = "It was a cold morning. Mira was in the barn with a key. \
                             Tomas was in the mill with an axe. Then Mira went to the mill. ";

    #[test]
    fn the_last_word_follows_from_the_text() {
        let text = format!("{BEGINNING}Mira gave the key to Tomas. By then the key was with Mira");
        assert_eq!(answers(&text), Ok(vec!["Tomas"]), "whatever word stands there");
        let text =
            format!("{BEGINNING}Mira hid the key in the mill. By then the key was in the mill");
        assert_eq!(answers(&text), Ok(vec!["mill"]));
        let text =
            format!("{BEGINNING}Mira hid the key in the mill. By then the key was with Mira");
        assert_eq!(answers(&text), Ok(vec![]), "nobody has it");
        let text =
            format!("{BEGINNING}There was also a little goat. They all cared for their goat");
        assert_eq!(answers(&text), Ok(vec!["goat"]));
    }

    #[test]
    fn contradictions_are_found() {
        let refused = |sentence: &str| {
            let error = Reading::of(&format!("{BEGINNING}{sentence}")).unwrap_err();
            assert!(matches!(error, ReadError::Contradiction { number: 5, .. }), "{error}");
        };
        refused("Tomas gave the key to Mira.");
        refused("Mira left the key in the barn.");
        refused("Mira found the key in the mill.");
        refused("Tomas was still in the barn.");
        refused("It was still noon in the village.");
        refused("Anna walked to the mill.");
        refused("There was a key in the mill.");
        refused("They all cared for their goat.");
        assert!(Reading::of(&format!("{BEGINNING}Mira met Tomas in the mill.")).is_ok());
    }

    #[test]
    fn foreign_sentences_are_named() {
        let error = Reading::of(&format!("{BEGINNING}Mira flew to the moon.")).unwrap_err();
        assert!(error.to_string().contains("sentence 5 fits no pattern"), "{error}");
        assert_eq!(Reading::of("Mira was in the barn with a key."), Err(ReadError::NoOpening));
        let error = Reading::of(&format!("{BEGINNING}Mira met Mira in the mill.")).unwrap_err();
        assert!(matches!(error, ReadError::Unknown { .. }), "{error}");
    }
}
