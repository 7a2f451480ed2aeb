//! Last-word prediction: LAMBADA as EleutherAI's harness scores it, and by the last token alone.

use crate::{CorpusError, Text, Tokenizer};

/// One item: ids to read, and how many of the last ones are to be predicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Number of the item in its file, from 0.
    pub index: usize,
    /// Context and target, at most as many as the model has positions. The model reads all of them,
    /// as it reads all ids of a perplexity window: the last one is predicted, and what follows it is
    /// not asked for.
    pub ids: Vec<u32>,
    /// The last `n_targets` ids are the target.
    pub n_targets: usize,
    /// Sentences between the place where the last word was settled and the question, where it is known.
    pub distance_sentences: Option<u32>,
}

impl Item {
    /// The ids to be predicted.
    pub fn targets(&self) -> &[u32] {
        &self.ids[self.ids.len() - self.n_targets..]
    }
}

/// Protocol `lambada-openai` (lm-evaluation-harness, task version 1): the target is a space and the
/// last word; context and target are encoded together, the context also alone, and the target's ids
/// are what the whole has beyond the context.
///
/// # Errors
/// An item without a space, or whose target has no id of its own.
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
            let (context, target) =
                split(item).ok_or_else(|| bad("no space between context and last word"))?;
            let whole = tokenizer.encode(&format!("{context}{target}"))?;
            let context = tokenizer.encode(context)?;
            let n_targets = whole.len().saturating_sub(context.len());
            if n_targets == 0 || context.is_empty() {
                return Err(bad("context or last word has no token id of its own"));
            }
            last_positions(text, index, whole, n_targets, max_positions).ok_or_else(|| {
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
            let whole = tokenizer.encode(item)?;
            last_positions(text, index, whole, 1, max_positions).ok_or_else(|| CorpusError::Item {
                path: text.path().to_owned(),
                index,
                reason: "fewer than two token ids".to_owned(),
            })
        })
        .collect()
}

/// Context and target: cut at the last ASCII space; further spaces at the end of the context belong to
/// the target.
fn split(text: &str) -> Option<(&str, &str)> {
    let (before, _) = text.rsplit_once(' ')?;
    let context = before.trim_end_matches(' ');
    Some((context, &text[context.len()..]))
}

/// Keeps the last `max_positions` ids; at least one must be left in front of the target.
fn last_positions(
    text: &Text,
    index: usize,
    mut ids: Vec<u32>,
    n_targets: usize,
    max_positions: usize,
) -> Option<Item> {
    let surplus = ids.len().saturating_sub(max_positions);
    ids.drain(..surplus);
    let distance_sentences = text.distance_sentences(index);
    (n_targets < ids.len()).then_some(Item { index, ids, n_targets, distance_sentences })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_like_the_harness() {
        assert_eq!(split("one two three"), Some(("one two", " three")));
        assert_eq!(split("one two  three"), Some(("one two", "  three")));
        assert_eq!(split("word"), None);
        assert_eq!(split("a “quote ”"), Some(("a “quote", " ”")));
    }

    #[test]
    fn long_items_lose_their_beginning_and_keep_their_distance() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items.jsonl");
        let lines = "{\"text\": \"a b\", \"distance_sentences\": 3}\n{\"text\": \"c d\"}\n";
        std::fs::write(&path, lines).unwrap();
        let text = Text::read(&path).unwrap();
        let item = last_positions(&text, 0, (0..10).collect(), 2, 4).unwrap();
        assert_eq!(item.ids, [6, 7, 8, 9]);
        assert_eq!(item.targets(), [8, 9]);
        assert_eq!(item.distance_sentences, Some(3));
        let other = last_positions(&text, 1, (0..10).collect(), 2, 4).unwrap();
        assert_eq!(other.distance_sentences, None);
        assert!(last_positions(&text, 0, (0..10).collect(), 4, 4).is_none());
    }
}
