//! The ids that a run is trained on and measured with.

use stories::{Distances, Register, Split, Stories, StoryError, train_tokenizer};
use tokenizers::Tokenizer;

use crate::recipe::Recipe;

/// Between documents, as the `ppl-T` protocols join them.
const JOINT: &str = "\n\n";

/// One sequence in this many is cut from running text, as the windows of `ppl-T` are; the others begin
/// with a document, as every passage of the last-word task does.
const RUNNING: usize = 4;

/// All sequences of a run in their order, and held-out text.
pub(crate) struct Texts {
    pub(crate) tokenizer: Tokenizer,
    /// `steps · batch_sequences` sequences of `sequence_tokens + 1` ids.
    pub(crate) train: Vec<Vec<u32>>,
    /// Documents of the calibration split.
    pub(crate) heldout: Vec<Vec<u32>>,
    /// Passages of the calibration split, their last id being the answer.
    pub(crate) items: Vec<Vec<u32>>,
}

/// Encodes a text as the evaluation does, the beginning token in front.
pub(crate) fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, StoryError> {
    let encoding = tokenizer
        .encode_fast(text, true)
        .map_err(|error| StoryError::Tokenizer { reason: error.to_string() })?;
    Ok(encoding.get_ids().to_vec())
}

impl Texts {
    pub(crate) fn of(recipe: &Recipe) -> Result<Self, StoryError> {
        let stories = Stories::new(recipe.corpus.seed);
        let tokenizer = train_tokenizer(stories)?;
        let train = sequences(
            stories,
            &tokenizer,
            recipe.schedule.steps * recipe.schedule.batch_sequences,
            recipe.corpus.sequence_tokens + 1,
        )?;
        let documents = Register::ALL.into_iter().flat_map(|register| {
            stories.documents(Split::Calibration, register).take(recipe.measure.documents)
        });
        let heldout = documents
            .map(|document| encode(&tokenizer, &document.text))
            .collect::<Result<_, _>>()?;
        let items = stories
            .items(Split::Calibration, Distances::ALL)
            .take(recipe.measure.items)
            .map(|item| encode(&tokenizer, &item.text))
            .collect::<Result<_, _>>()?;
        Ok(Self { tokenizer, train, heldout, items })
    }
}

/// Consecutive pieces of the train split, each document used once.
///
/// A sequence that begins with a document has the beginning token in front and as many more documents
/// behind as fit, the last one cut; one of running text goes on in the middle of a document.
fn sequences(
    stories: Stories,
    tokenizer: &Tokenizer,
    n: usize,
    length: usize,
) -> Result<Vec<Vec<u32>>, StoryError> {
    let joint = encode(tokenizer, JOINT)?;
    let mut documents = stories.mixture(Split::Train).map(|document| {
        let mut ids = encode(tokenizer, &document.text)?;
        ids.extend_from_slice(&joint[1..]);
        Ok::<_, StoryError>(ids)
    });
    let mut sequences = Vec::with_capacity(n);
    for index in 0..n {
        let running = index % RUNNING == RUNNING - 1;
        let mut ids: Vec<u32> = Vec::with_capacity(2 * length);
        let skipped = if running { length / 2 + 1 } else { 0 };
        while ids.len() < skipped + length {
            let Some(document) = documents.next() else { break };
            let document: Vec<u32> = document?;
            // The beginning token stands in front of the whole alone.
            ids.extend_from_slice(&document[usize::from(!ids.is_empty())..]);
        }
        ids.truncate(skipped + length);
        sequences.push(ids.split_off(skipped));
    }
    Ok(sequences)
}

/// Neighbouring sequences in groups of about so many tokens.
pub(crate) fn groups(sequences: &[Vec<u32>], tokens: usize) -> Vec<&[Vec<u32>]> {
    let mut groups = Vec::new();
    let mut rest = sequences;
    while !rest.is_empty() {
        let mut n = 0;
        let mut held = 0;
        while n < rest.len() && (n == 0 || held + rest[n].len() <= tokens) {
            held += rest[n].len();
            n += 1;
        }
        let (here, after) = rest.split_at(n);
        groups.push(here);
        rest = after;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_have_one_length_and_two_kinds_of_beginning() {
        let stories = Stories::new(3);
        let tokenizer = train_tokenizer(stories).expect("a tokenizer");
        let sequences = sequences(stories, &tokenizer, 8, 65).expect("sequences");
        assert!(sequences.iter().all(|ids| ids.len() == 65));
        let begin: Vec<bool> = sequences.iter().map(|ids| ids[0] == 0).collect();
        assert_eq!(begin, [true, true, true, false, true, true, true, false]);
        let inside = sequences.iter().flat_map(|ids| &ids[1..]);
        assert!(inside.copied().all(|id| id != 0), "the beginning token stands in front alone");
    }

    #[test]
    fn groups_hold_every_sequence_once() {
        let sequences: Vec<Vec<u32>> = [3, 4, 9, 1].map(|n| vec![7; n]).into();
        let lengths: Vec<Vec<usize>> =
            groups(&sequences, 8).iter().map(|g| g.iter().map(Vec::len).collect()).collect();
        assert_eq!(lengths, [vec![3, 4], vec![9], vec![1]]);
    }
}
