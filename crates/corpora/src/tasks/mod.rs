//! Protocols as tasks: what each makes of a text or of items, one file a kind, and the table of them.

mod choices;
mod last_word;
mod pair;
mod perplexity;

use crate::{CorpusError, Item, Records, Text, Tokenizer};

pub use choices::{ChoiceTask, Definition, Metric, Question, definitions};
pub use last_word::{last_token_items, openai_items};
pub use perplexity::{calibration_windows, windows};

/// What a task reads its items from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// Rows or documents.
    Text(&'a Text),
    /// Items with named fields.
    Records(&'a Records),
}

/// Whose ids, how many of them at a time, and of how many items.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// The tokenizer of the model.
    pub tokenizer: &'a Tokenizer,
    /// Positions that the model has.
    pub max_positions: usize,
    /// Windows or items from the beginning; none means all.
    pub limit: Option<usize>,
}

/// What a task asks of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items {
    /// Windows or items, in the order of the text.
    pub items: Vec<Item>,
    /// Ids of the whole text, where it is encoded whole.
    pub n_ids: Option<usize>,
}

/// A way of turning a text or a file of items into requests.
pub trait Task: Send + Sync {
    /// The items of a source, each with its requests.
    ///
    /// # Errors
    /// A source of the wrong kind or too short, an item that cannot be asked, and an id that the model has
    /// no row for.
    fn items(&self, source: Source<'_>, ask: Ask<'_>) -> Result<Items, CorpusError>;

    /// What defines it, where it is a task of choices.
    fn definition(&self) -> Option<&Definition> {
        None
    }
}

/// Makes the task of a name, or knows that the name is not of its kind.
type ByName = fn(&str) -> Option<Result<Box<dyn Task>, CorpusError>>;

/// Every kind of task.
const ALL: &[ByName] = &[perplexity::by_name, last_word::by_name, choices::by_name];

/// The task of a protocol: `ppl-T`, `lambada-openai`, `lambada-last-token`, `choice-TASK`.
///
/// # Errors
/// A name that no kind of task has.
pub fn task(protocol: &str) -> Result<Box<dyn Task>, CorpusError> {
    let unknown = || Err(CorpusError::UnknownTask { name: protocol.to_owned() });
    ALL.iter().find_map(|by_name| by_name(protocol)).unwrap_or_else(unknown)
}

impl<'a> Source<'a> {
    /// The text, where it is one.
    pub(crate) fn text(self) -> Result<&'a Text, CorpusError> {
        match self {
            Source::Text(text) => Ok(text),
            Source::Records(records) => {
                Err(CorpusError::NotItems { path: records.path().to_owned() })
            }
        }
    }

    /// The items with named fields, where it has them.
    pub(crate) fn records(self) -> Result<&'a Records, CorpusError> {
        match self {
            Source::Records(records) => Ok(records),
            Source::Text(text) => Err(CorpusError::NotRecords { path: text.path().to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_name() {
        for name in ["ppl-64", "lambada-openai", "lambada-last-token"] {
            assert!(task(name).unwrap().definition().is_none(), "{name}");
        }
        for name in ["choice-piqa", "choice-mmlu-anatomy"] {
            assert!(task(name).unwrap().definition().is_some(), "{name}");
        }
        for name in ["ppl-", "choice-", "choice-none", "choice-mmlu", "lambada"] {
            assert!(task(name).is_err(), "{name}");
        }
    }
}
