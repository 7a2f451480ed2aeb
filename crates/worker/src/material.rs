//! What a protocol makes of a text or of items: windows or items, each with its requests.

use std::ops::Range;

use anyhow::bail;
use corpora::{Ask, CorpusError, Item, Source, Task};
use evaluation::{Passes, tokens_read};
use plan::{Measure, Protocol};
use tables::TaskColumns;

/// Tokens a batch holds at most (a single longer item makes a batch of its own).
const TOKENS_PER_BATCH: usize = 1024;

/// The windows or items of one evaluation.
#[derive(Debug)]
pub(crate) struct Material {
    /// What their results come to.
    pub(crate) measure: Measure,
    /// In the order of the text.
    pub(crate) items: Vec<Item>,
    /// Ids of the whole text, where it is encoded whole.
    pub(crate) n_ids: Option<usize>,
    /// What the definition of a task of choices says of it.
    pub(crate) task: Option<TaskColumns>,
}

impl Material {
    pub(crate) fn of(
        protocol: Protocol,
        task: &dyn Task,
        source: Source<'_>,
        ask: Ask<'_>,
    ) -> Result<Self, CorpusError> {
        let corpora::Items { items, n_ids } = task.items(source, ask)?;
        let facts = task.definition().map(|own| TaskColumns {
            version: own.version.clone(),
            group: own.group.as_ref().map(|_| own.name.clone()),
            is_normalised: own.is_normalised(),
        });
        Ok(Self { measure: protocol.measure(), items, n_ids, task: facts })
    }

    /// The same without its first `offset` windows or items; the others keep their places in the text.
    pub(crate) fn from(mut self, offset: usize) -> anyhow::Result<Self> {
        let there = self.items.len();
        if offset > 0 && offset >= there {
            bail!("offset {offset} leaves out all of the text, which has {there} windows or items");
        }
        self.items.drain(..offset);
        Ok(self)
    }

    /// Windows of token ids.
    pub(crate) fn windows(windows: Vec<Vec<u32>>) -> Self {
        let items = Item::windows(windows);
        Self { measure: Measure::MeanLoss, items, n_ids: None, task: None }
    }

    /// Number of windows or items.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Tokens that a model reads of one window or item.
    pub(crate) fn tokens_of(&self, unit: usize, passes: Passes) -> usize {
        tokens_read(&self.items[unit], passes)
    }

    /// Tokens that a model reads.
    pub(crate) fn n_tokens(&self, passes: Passes) -> usize {
        (0..self.len()).map(|unit| self.tokens_of(unit, passes)).sum()
    }

    /// Tokens of a sequence as one request alone has it, on average: what attention looks back on.
    pub(crate) fn mean_length(&self) -> usize {
        let requests = || self.items.iter().flat_map(|item| &item.requests);
        let tokens: usize = requests().map(|request| request.read().len()).sum();
        tokens.checked_div(requests().count()).unwrap_or(0)
    }

    /// Rows that are multiplied with the head.
    pub(crate) fn n_targets(&self) -> usize {
        let requests = self.items.iter().flat_map(|item| &item.requests);
        requests.map(|request| request.targets().len()).sum()
    }

    /// Consecutive units that are run together.
    pub(crate) fn batches(&self, passes: Passes) -> Vec<Range<usize>> {
        let mut batches: Vec<Range<usize>> = Vec::new();
        let mut tokens = 0;
        for unit in 0..self.len() {
            let more = self.tokens_of(unit, passes);
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
    use corpora::Request;

    use super::*;

    /// What is left out and what is not are the whole text, each window at its own place.
    #[test]
    fn an_offset_leaves_places_as_they_are() {
        let windows = || Material::windows((0..5).map(|n| vec![n, n, n]).collect());
        let places = |material: Material| -> Vec<(usize, u32)> {
            let id = |item: &Item| item.requests[0].read()[0];
            material.items.iter().map(|item| (item.index, id(item))).collect()
        };
        assert_eq!(places(windows().from(0).unwrap()), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)]);
        assert_eq!(places(windows().from(3).unwrap()), [(3, 3), (4, 4)]);
        let error = windows().from(5).unwrap_err().to_string();
        assert!(error.contains("offset 5") && error.contains("5 windows"), "{error}");
    }

    #[test]
    fn batches_cover_every_unit_once() {
        let item = |n: usize| Item::single(0, Request::continuation(vec![0; n + 1], 1).unwrap());
        let lengths = [600, 400, 24, 1, 3000, 5, 1020];
        let items = lengths.iter().map(|n| item(*n)).collect();
        let material = Material { items, ..Material::windows(Vec::new()) };
        assert_eq!(material.batches(Passes::Whole), [0..3, 3..4, 4..5, 5..6, 6..7]);
    }
}
