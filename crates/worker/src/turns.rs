//! Whose turn a cell is, where other workers take part in the run.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use plan::{Cell, OrderedCell};
use runs::{Attempt, Claim, Claims, StoreError};
use tables::Store;

/// What may be done with a cell now.
pub(crate) enum Turn<'a> {
    /// It is ours, as long as the claim is held.
    Ours(Claim<'a>),
    /// Somebody has stored it.
    Done,
    /// Somebody has tried it since we began, and it failed.
    Failed,
    /// Somebody else, whose name this is, computes it.
    Held(String),
}

/// A cell waits for scores that another worker computes: it is no failure, and is tried again.
#[derive(Debug)]
pub(crate) struct Waits {
    /// The cell of the scores.
    pub(crate) scores: OrderedCell,
    /// Who has it.
    pub(crate) holder: String,
}

impl std::fmt::Display for Waits {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} computes `{}`", self.holder, self.scores.cell.label())
    }
}

impl std::error::Error for Waits {}

/// The part of one worker in a run.
pub(crate) struct Turns<'a> {
    store: &'a Store,
    claims: &'a Claims,
    /// The failures that we try again.
    failures: BTreeMap<String, SystemTime>,
    /// The scores that cells wait for, by the cell that waits.
    waiting: Mutex<BTreeMap<String, OrderedCell>>,
}

impl<'a> Turns<'a> {
    /// Takes part with these cells, none of which is done.
    pub(crate) fn new(
        store: &'a Store,
        claims: &'a Claims,
        cells: &[&OrderedCell],
    ) -> Result<Self, StoreError> {
        let mut failures = BTreeMap::new();
        for OrderedCell { id, .. } in cells {
            if let Some(mark) = store.failure_mark(id)? {
                failures.insert(id.clone(), mark);
            }
        }
        Ok(Self { store, claims, failures, waiting: Mutex::default() })
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<String, OrderedCell>> {
        // A panic elsewhere leaves the map whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a cell back until nobody has the scores in hand that it waits for: to find that out, no model
    /// need be loaded.
    pub(crate) fn hold_back(&self, id: &str, scores: OrderedCell) {
        self.waiting().insert(id.to_owned(), scores);
    }

    /// Claims a cell, unless it is done, another's, or waits for what is another's.
    pub(crate) fn of(&self, id: &str, cell: &Cell) -> Result<Turn<'a>, StoreError> {
        let awaited = self.waiting().get(id).cloned();
        if let Some(scores) = awaited {
            if let held @ Turn::Held(_) = self.now(&scores.id, &scores.cell)? {
                return Ok(held);
            }
            self.waiting().remove(id);
        }
        self.now(id, cell)
    }

    /// Claims a cell, unless it is done or another's.
    ///
    /// What is done is asked for behind the claim: whoever had it before has stored it by then.
    fn now(&self, id: &str, cell: &Cell) -> Result<Turn<'a>, StoreError> {
        let attempt = self.claims.take(id)?;
        if self.store.has(id, cell)? {
            return Ok(Turn::Done);
        }
        let mark = self.store.failure_mark(id)?;
        if mark.is_some() && mark.as_ref() != self.failures.get(id) {
            return Ok(Turn::Failed);
        }
        Ok(match attempt {
            Attempt::Taken(claim) => Turn::Ours(claim),
            Attempt::Held(holder) => Turn::Held(holder),
        })
    }
}
