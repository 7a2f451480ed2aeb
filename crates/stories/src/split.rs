//! Train, calibration and test: which openings belong to which.

use crate::words::{Listed, Person, Place, Thing};

/// A part of the corpus that shares no text with the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What models and the tokenizer are trained on.
    Train,
    /// What scores are calibrated on.
    Calibration,
    /// What is measured on.
    Test,
}

/// Openings of the held-out splits are one in this many each.
const CLASSES: usize = 10;

impl Split {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Train, Self::Calibration, Self::Test];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Calibration => "calibration",
            Self::Test => "test",
        }
    }

    /// The split to which texts belong whose second sentence shows `who` with `thing` in `place`.
    ///
    /// The three numbers of a triple make a class from 0 to 9; class 0 is calibration, class 1 is
    /// test, the rest is train. Each person, each thing and each place, and each pair of a person
    /// and a thing, occurs in every split; only which three open a text together does not. So what a
    /// model learns about single words and pairs in train holds in test too.
    pub fn of_opening(who: Person, thing: Thing, place: Place) -> Self {
        match (7 * who.index() + 3 * thing.index() + place.index()) % CLASSES {
            0 => Self::Calibration,
            1 => Self::Test,
            _ => Self::Train,
        }
    }
}

// A pair of a person and a thing finds a place of every class only if the places reach all classes.
const _: () = assert!(Place::WORDS.len() >= CLASSES);
