//! What a protocol makes of a text: windows or items.

use std::ops::Range;

use corpora::{CorpusError, Item, Text, Tokenizer, last_token_items, openai_items, windows};
use plan::Protocol;

/// Tokens a batch holds at most (a single longer sequence makes a batch of its own).
const TOKENS_PER_BATCH: usize = 1024;

/// The sequences of one evaluation.
#[derive(Debug)]
pub(crate) enum Material {
    /// Windows of a perplexity protocol.
    Windows {
        /// Token ids.
        windows: Vec<Vec<u32>>,
        /// Ids of the whole text.
        n_ids: usize,
    },
    /// Items of a last-word protocol.
    Items(Vec<Item>),
}

impl Material {
    pub(crate) fn of(
        protocol: Protocol,
        text: &Text,
        tokenizer: &Tokenizer,
        max_positions: usize,
        limit: Option<usize>,
    ) -> Result<Self, CorpusError> {
        let material = match protocol {
            Protocol::Perplexity { window_tokens } => {
                let (windows, n_ids) = windows(text, tokenizer, window_tokens, limit)?;
                Self::Windows { windows, n_ids }
            }
            Protocol::LambadaOpenai => {
                Self::Items(openai_items(text, tokenizer, max_positions, limit)?)
            }
            Protocol::LambadaLastToken => {
                Self::Items(last_token_items(text, tokenizer, max_positions, limit)?)
            }
        };
        if let Self::Items(items) = &material {
            items.iter().try_for_each(|item| tokenizer.check(&item.ids, text.path()))?;
        }
        Ok(material)
    }

    /// Number of windows or items.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Windows { windows, .. } => windows.len(),
            Self::Items(items) => items.len(),
        }
    }

    /// Tokens that a model reads of one window or item.
    pub(crate) fn tokens_of(&self, unit: usize) -> usize {
        match self {
            Self::Windows { windows, .. } => windows[unit].len(),
            Self::Items(items) => items[unit].read().len(),
        }
    }

    /// Tokens that a model reads.
    pub(crate) fn n_tokens(&self) -> usize {
        (0..self.len()).map(|unit| self.tokens_of(unit)).sum()
    }

    /// Consecutive units that are run together.
    pub(crate) fn batches(&self) -> Vec<Range<usize>> {
        let mut batches: Vec<Range<usize>> = Vec::new();
        let mut tokens = 0;
        for unit in 0..self.len() {
            let more = self.tokens_of(unit);
            match batches.last_mut() {
                Some(batch) if tokens + more <= TOKENS_PER_BATCH => batch.end = unit + 1,
                _ => {
                    batches.push(unit..unit + 1);
                    tokens = 0;
                }
            }
            tokens += more;
        }
        batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_cover_every_unit_once() {
        let item = |n: usize| Item {
            index: 0,
            ids: vec![0; n + 1],
            n_targets: 1,
            distance_sentences: None,
        };
        let lengths = [600, 400, 24, 1, 3000, 5, 1020];
        let material = Material::Items(lengths.iter().map(|n| item(*n)).collect());
        assert_eq!(material.batches(), [0..3, 3..4, 4..5, 5..6, 6..7]);
    }
}
