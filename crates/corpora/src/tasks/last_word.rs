//! Last-word prediction: LAMBADA as EleutherAI's harness scores it, and by the last token alone.
//!
//! What is followed is lm-evaluation-harness 0.4.13: `lm_eval/api/model.py` (how context and target are
//! encoded), `lm_eval/models/huggingface.py` (what is read of a long text) and the task `lambada_openai`,
//! version 1; `evaluation/tests/golden/harness.py` asks it.

use std::borrow::Cow;

use super::{
    Ask, Items, Source, Task,
    pair::{Pairs, Refused, last_positions},
};
use crate::{CorpusError, Item, Request, Text, Tokenizer, lines::is_python_space};

/// Gives the items of a text.
type OfText = fn(&Text, &Tokenizer, usize, Option<usize>) -> Result<Vec<Item>, CorpusError>;

/// A last-word task.
struct LastWord(OfText);

/// The last-word tasks by name.
pub(super) fn by_name(name: &str) -> Option<Result<Box<dyn Task>, CorpusError>> {
    let items: OfText = match name {
        "lambada-openai" => openai_items,
        "lambada-last-token" => last_token_items,
        _ => return None,
    };
    Some(Ok(Box::new(LastWord(items))))
}

impl Task for LastWord {
    fn items(&self, source: Source<'_>, ask: Ask<'_>) -> Result<Items, CorpusError> {
        let text = source.text()?;
        let items = (self.0)(text, ask.tokenizer, ask.max_positions, ask.limit)?;
        items.iter().try_for_each(|item| ask.tokenizer.check(item.request().ids(), text.path()))?;
        Ok(Items { items, n_ids: None })
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
    let mut pairs = Pairs::new(tokenizer, max_positions);
    items
        .map(|(index, item)| {
            let (context, target) = split(item);
            match pairs.request(context, &target, "its last word") {
                Ok(request) => Ok(of_request(text, index, request)),
                Err(Refused::Tokenizer(error)) => Err(error),
                Err(Refused::Pair(reason)) => Err(bad(text, index, reason)),
            }
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
            last_positions(whole, 1, max_positions)
                .map(|request| of_request(text, index, request))
                .ok_or_else(|| bad(text, index, "fewer than two token ids".to_owned()))
        })
        .collect()
}

fn of_request(text: &Text, index: usize, request: Request) -> Item {
    let distance_sentences = text.distance_sentences(index);
    Item { distance_sentences, ..Item::single(index, request) }
}

fn bad(text: &Text, index: usize, reason: String) -> CorpusError {
    CorpusError::Item { path: text.path().to_owned(), index, reason }
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
    fn items_keep_their_distance() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items.jsonl");
        let lines = "{\"text\": \"a b\", \"distance_sentences\": 3}\n{\"text\": \"c d\"}\n";
        std::fs::write(&path, lines).unwrap();
        let text = Text::read(&path).unwrap();
        let of = |index| {
            let request = last_positions((0..10).collect(), 2, 4).unwrap();
            of_request(&text, index, request).distance_sentences
        };
        assert_eq!((of(0), of(1)), (Some(3), None));
    }
}
