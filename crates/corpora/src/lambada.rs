//! Last-word prediction: LAMBADA as EleutherAI's harness scores it, and by the last token alone.
//!
//! What is followed is lm-evaluation-harness 0.4.13: `lm_eval/api/model.py` (how context and target are
//! encoded), `lm_eval/models/huggingface.py` (what is read of a long text) and the task `lambada_openai`,
//! version 1; `evaluation/tests/golden/harness.py` asks it.

use std::borrow::Cow;

use crate::{CorpusError, Text, Tokenizer, lines::is_python_space};

/// One item: ids to read, and how many of the last ones are to be predicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Number of the item in its file, from 0.
    pub index: usize,
    /// Context and target, at least two ids and at most one more than the model has positions.
    pub ids: Vec<u32>,
    /// The last `n_targets` ids are the target.
    pub n_targets: usize,
    /// Sentences between the place where the last word was settled and the question, where it is known.
    pub distance_sentences: Option<u32>,
}

impl Item {
    /// What the model reads: all ids but the last, which is predicted and followed by nothing.
    pub fn read(&self) -> &[u32] {
        &self.ids[..self.ids.len() - 1]
    }

    /// The ids to be predicted.
    pub fn targets(&self) -> &[u32] {
        &self.ids[self.ids.len() - self.n_targets..]
    }
}

/// Protocol `lambada-openai` (lm-evaluation-harness, task version 1): the target is a space and the
/// last word, and white space at the end of the context belongs to it; context and target are encoded
/// together, the context also alone. The item is the ids of the context alone, then what the whole has
/// beyond as many ids, even where a token of the whole spans the join.
///
/// # Errors
/// An item without context (the harness puts a token there that no post-processor names), whose target
/// has no id of its own, or whose target is longer than the model.
pub fn openai_items(
    text: &Text,
    tokenizer: &Tokenizer,
    max_positions: usize,
    limit: Option<usize>,
) -> Result<Vec<Item>, CorpusError> {
    let items = text.items()?.iter().take(limit.unwrap_or(usize::MAX)).enumerate();
    items
        .map(|(index, item)| {
            let bad = |reason: &str| CorpusError::Item {
                path: text.path().to_owned(),
                index,
                reason: reason.to_owned(),
            };
            let (context, target) = split(item);
            let mut ids = tokenizer.encode_unless_begun(context)?;
            let whole = tokenizer.encode_unless_begun(&format!("{context}{target}"))?;
            if ids.is_empty() {
                return Err(bad("nothing stands in front of its last word"));
            }
            let targets = whole.get(ids.len()..).unwrap_or_default();
            if targets.is_empty() {
                return Err(bad("its last word has no token id of its own"));
            }
            ids.extend(targets);
            last_positions(text, index, ids, targets.len(), max_positions).ok_or_else(|| {
                bad(&format!("its last word does not fit into {max_positions} positions"))
            })
        })
        .collect()
}

/// Protocol `lambada-last-token`: the text is encoded whole and only its last id is predicted.
///
/// # Errors
/// An item of fewer than two ids.
pub fn last_token_items(
    text: &Text,
    tokenizer: &Tokenizer,
    max_positions: usize,
    limit: Option<usize>,
) -> Result<Vec<Item>, CorpusError> {
    let items = text.items()?.iter().take(limit.unwrap_or(usize::MAX)).enumerate();
    items
        .map(|(index, item)| {
            let whole = tokenizer.encode_unless_begun(item)?;
            last_positions(text, index, whole, 1, max_positions).ok_or_else(|| CorpusError::Item {
                path: text.path().to_owned(),
                index,
                reason: "fewer than two token ids".to_owned(),
            })
        })
        .collect()
}

/// Context and target: cut at the last ASCII space (without one there is no context, and the target gets
/// a space all the same); white space at the end of the context, as Python's `rstrip` knows it, belongs
/// to the target.
fn split(text: &str) -> (&str, Cow<'_, str>) {
    match text.rsplit_once(' ') {
        Some((before, _)) => {
            let context = before.trim_end_matches(is_python_space);
            (context, Cow::Borrowed(&text[context.len()..]))
        }
        None => ("", Cow::Owned(format!(" {text}"))),
    }
}

/// Keeps the last `max_positions` + 1 ids, of which the model reads all but the last; at least one must
/// be left in front of the target.
fn last_positions(
    text: &Text,
    index: usize,
    mut ids: Vec<u32>,
    n_targets: usize,
    max_positions: usize,
) -> Option<Item> {
    let surplus = ids.len().saturating_sub(max_positions.saturating_add(1));
    ids.drain(..surplus);
    let distance_sentences = text.distance_sentences(index);
    (n_targets < ids.len()).then_some(Item { index, ids, n_targets, distance_sentences })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_like_the_harness() {
        for (text, context, target) in [
            ("one two three", "one two", " three"),
            ("one two  three", "one two", "  three"),
            ("a “quote ”", "a “quote", " ”"),
            ("one two\n three", "one two", "\n three"),
            ("one two\u{a0} \t three", "one two", "\u{a0} \t three"),
            ("one two\u{1c} three", "one two", "\u{1c} three"),
            ("one two\u{200b} three", "one two\u{200b}", " three"),
            ("one two\nthree", "one", " two\nthree"),
            ("one two ", "one two", " "),
            ("  word", "", "  word"),
            ("word", "", " word"),
        ] {
            assert_eq!(split(text), (context, target.into()), "{text:?}");
        }
    }

    #[test]
    fn long_items_lose_their_beginning_and_keep_their_distance() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items.jsonl");
        let lines = "{\"text\": \"a b\", \"distance_sentences\": 3}\n{\"text\": \"c d\"}\n";
        std::fs::write(&path, lines).unwrap();
        let text = Text::read(&path).unwrap();
        let item = last_positions(&text, 0, (0..10).collect(), 2, 4).unwrap();
        assert_eq!(item.ids, [5, 6, 7, 8, 9]);
        assert_eq!(item.read(), [5, 6, 7, 8]);
        assert_eq!(item.targets(), [8, 9]);
        assert_eq!(item.distance_sentences, Some(3));
        let other = last_positions(&text, 1, (0..10).collect(), 2, 4).unwrap();
        assert_eq!(other.distance_sentences, None);
        assert_eq!(last_positions(&text, 0, (0..10).collect(), 4, 4).unwrap().ids.len(), 5);
        let endless = last_positions(&text, 0, (0..10).collect(), 4, usize::MAX).unwrap();
        assert_eq!(endless.ids.len(), 10);
        assert!(last_positions(&text, 0, (0..10).collect(), 5, 4).is_none());
    }
}
