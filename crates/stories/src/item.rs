//! The last-word task: passages whose last word was settled at a known distance.

use serde::Serialize;

use crate::{plot::Question, story::Story, text::words};

/// Longest distance, in sentences: with more, passages outgrow [`crate::MOST_PIECES`].
pub const LONGEST_DISTANCE: u32 = 20;

/// A passage whose last word is to be predicted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// The passage with the answer as its last word, without a full stop.
    pub text: String,
    /// The last word.
    pub answer: String,
    /// What is asked for.
    pub question: Question,
    /// Sentences from the one that settles the answer to the last; 1 is the next sentence.
    pub distance_sentences: u32,
    /// Words from the answer in the settling sentence to the answer at the end; 1 is the next word.
    pub distance_words: u32,
}

impl Item {
    /// The passage of a narrative up to the word that recalls.
    pub(crate) fn of(story: &Story, question: Question) -> Self {
        let (settled, recalled) = (story.plot.settled, story.plot.recalled);
        let answer = story.answer();
        let text = story.sentences[..=recalled].join(" ");
        let text = text.trim_end_matches('.').to_owned();
        let since: Vec<String> = story.sentences[settled..=recalled].to_vec();
        let behind = words(&since[0]).rev().position(|word| word == answer).unwrap_or(0);
        let after: usize = since[1..].iter().map(|sentence| words(sentence).count()).sum();
        Self {
            text,
            answer: answer.to_owned(),
            question,
            distance_sentences: (recalled - settled) as u32,
            distance_words: (behind + after) as u32,
        }
    }
}

/// The distances that items are to have, in sentences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Distances {
    from: u32,
    to: u32,
}

/// A range of distances that no text can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "distances from {from} to {to} sentences: expected a range within 1 to {LONGEST_DISTANCE}, \
     beyond which a passage outgrows 256 tokens"
)]
pub struct DistanceError {
    /// The shortest asked for.
    pub from: u32,
    /// The longest asked for.
    pub to: u32,
}

impl Distances {
    /// All that fit: 1 to [`LONGEST_DISTANCE`].
    pub const ALL: Self = Self { from: 1, to: LONGEST_DISTANCE };

    /// From the shortest to the longest, both included.
    ///
    /// # Errors
    /// [`DistanceError`] for an empty range or one that is not within 1 to [`LONGEST_DISTANCE`].
    pub fn new(from: u32, to: u32) -> Result<Self, DistanceError> {
        if from == 0 || from > to || to > LONGEST_DISTANCE {
            return Err(DistanceError { from, to });
        }
        Ok(Self { from, to })
    }

    /// Items after which every distance has had every question once.
    pub fn cycle(self) -> u64 {
        Question::ALL.len() as u64 * self.count()
    }

    fn count(self) -> u64 {
        u64::from(self.to - self.from + 1)
    }

    /// Distance and question of an item: all distances with one question, then with the next.
    pub(crate) fn of_item(self, index: u64) -> (usize, Question) {
        let round = (index / self.count()) as usize;
        let question = Question::ALL[round % Question::ALL.len()];
        (self.from as usize + (index % self.count()) as usize, question)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_has_every_distance_with_every_question() {
        let distances = Distances::new(3, 5).unwrap();
        let mut items: Vec<_> = (0..distances.cycle()).map(|i| distances.of_item(i)).collect();
        items.sort_unstable();
        let expected = (3..=5).flat_map(|d| Question::ALL.map(|q| (d, q)));
        assert_eq!(items, expected.collect::<Vec<_>>());
    }

    #[test]
    fn impossible_distances_are_refused() {
        for (from, to) in [(0, 3), (4, 3), (1, LONGEST_DISTANCE + 1)] {
            let error = Distances::new(from, to).unwrap_err().to_string();
            assert!(error.contains("within 1 to 20"), "{error}");
        }
        assert_eq!(Distances::new(1, LONGEST_DISTANCE).unwrap(), Distances::ALL);
    }
}
