//! Cell after cell of one model: claimed, run, stored or recorded as failed.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use plan::{Event, OrderedCell, grouped};
use runs::{Claim, FailureRecord, StoreError};

use crate::{
    fail::Fail,
    runner::{Kept, Runner},
    system,
    turns::{Turn, Turns, Waits},
};

/// Cells that were tried.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    /// Done by other workers of the run.
    pub(crate) elsewhere: u64,
}

impl Tally {
    pub(crate) fn settled(&self) -> u64 {
        self.done + self.failed + self.elsewhere
    }

    /// Counts a cell that another worker has settled; the value tells of it.
    pub(crate) fn elsewhere(&mut self, ordered: &OrderedCell, turn: &Turn<'_>) -> Event {
        let id = ordered.id.clone();
        if matches!(turn, Turn::Failed) {
            self.failed += 1;
            return Event::CellFailed { id, error: "it failed in another process".to_owned() };
        }
        self.elsewhere += 1;
        Event::CellElsewhere { id }
    }
}

/// What came of a cell, for now.
enum Outcome {
    /// It is done or has failed, here or elsewhere.
    Settled,
    /// Another worker, whose name this is, has it or what it rests on.
    Held(String),
    /// We were asked to stop.
    Stopped,
}

/// Cells that are left, and who has one of them.
#[derive(Default)]
pub(crate) struct Left<'a> {
    pub(crate) cells: Vec<&'a OrderedCell>,
    pub(crate) holder: Option<String>,
}

impl Runner<'_> {
    /// Runs the cells; what fails is recorded and the rest goes on. What others have in hand is left, and
    /// comes again once all else is done.
    pub(crate) fn run<'a>(
        &mut self,
        cells: &[&'a OrderedCell],
        turns: &Turns<'_>,
        tally: &mut Tally,
    ) -> Result<Left<'a>, Fail> {
        let mut kept = Kept::default();
        let mut cells = grouped(cells);
        loop {
            let mut left = Left::default();
            for ordered in &cells {
                match self.one(ordered, turns, &mut kept, tally)? {
                    Outcome::Settled => {}
                    Outcome::Held(holder) => {
                        left.cells.push(*ordered);
                        left.holder = Some(holder);
                    }
                    Outcome::Stopped => return Ok(left),
                }
            }
            // The model is at hand, so whatever became free meanwhile is done with it.
            let is_all_held = left.cells.len() == cells.len();
            if left.cells.is_empty() || is_all_held {
                return Ok(left);
            }
            cells = left.cells;
        }
    }

    fn one(
        &mut self,
        ordered: &OrderedCell,
        turns: &Turns<'_>,
        kept: &mut Kept,
        tally: &mut Tally,
    ) -> Result<Outcome, Fail> {
        if self.stop.asked() {
            return Ok(Outcome::Stopped);
        }
        let turn = turns.of(&ordered.id, &ordered.cell).map_err(|e| Fail::Results(e.into()))?;
        match turn {
            Turn::Ours(claim) => self.claimed(ordered, (turns, &claim), kept, tally),
            Turn::Held(holder) => Ok(Outcome::Held(holder)),
            settled => {
                self.say(&tally.elsewhere(ordered, &settled));
                Ok(Outcome::Settled)
            }
        }
    }

    fn claimed(
        &mut self,
        ordered: &OrderedCell,
        (turns, claim): (&Turns<'_>, &Claim<'_>),
        kept: &mut Kept,
        tally: &mut Tally,
    ) -> Result<Outcome, Fail> {
        let (started, started_at_ms) = (Instant::now(), system::now_ms());
        system::reset_peak();
        let result = catch_unwind(AssertUnwindSafe(|| self.cell(ordered, kept)))
            .unwrap_or_else(|panic| Err(anyhow::anyhow!("panic: {}", message_of(&*panic))));
        claim.check().map_err(|e| Fail::Results(e.into()))?;
        let failure = match result {
            Ok(None) => return Ok(Outcome::Stopped),
            Ok(Some(evaluated)) => match self.store_rows(ordered, &evaluated, started_at_ms) {
                Ok(()) => {
                    tally.done += 1;
                    self.say(&Event::CellDone {
                        id: ordered.id.clone(),
                        seconds: evaluated.seconds,
                        tokens_per_second: evaluated.tokens_per_second(),
                    });
                    return Ok(Outcome::Settled);
                }
                Err(error) if refused(&error) => error.into(),
                Err(error) => return Err(Fail::Results(error.into())),
            },
            Err(error) if is_of_the_folder(&error) => return Err(Fail::Results(error)),
            Err(error) => match error.downcast::<Waits>() {
                Ok(Waits { scores, holder }) => {
                    turns.hold_back(&ordered.id, scores);
                    return Ok(Outcome::Held(holder));
                }
                Err(error) => error,
            },
        };
        tally.failed += 1;
        self.store_failure(ordered, &failure, started_at_ms, started)?;
        Ok(Outcome::Settled)
    }

    fn store_failure(
        &self,
        ordered: &OrderedCell,
        failure: &anyhow::Error,
        started_at_ms: i64,
        started: Instant,
    ) -> Result<(), Fail> {
        let error = format!("{failure:#}");
        // Whoever reads the events says it; a second line would stand across their bars.
        tracing::debug!(cell = ordered.id, "{error}");
        self.say(&Event::CellFailed { id: ordered.id.clone(), error: error.clone() });
        self.store
            .write_failure(&FailureRecord {
                id: ordered.id.clone(),
                cell: ordered.cell.clone(),
                error,
                revision: self.order.provenance.revision.clone(),
                code_version: self.order.provenance.code_version.clone(),
                host: system::host(),
                started_at_ms,
                seconds: started.elapsed().as_secs_f64(),
            })
            .map(drop)
            .map_err(|e| Fail::Results(e.into()))
    }
}

/// Whether the store refused the rows themselves: the cell failed, the folder is fine.
fn refused(error: &StoreError) -> bool {
    matches!(error, StoreError::NonFinite { .. } | StoreError::NoRows { .. })
}

/// Whether a cell failed because scores could not be claimed or stored: then no other cell fares better.
fn is_of_the_folder(error: &anyhow::Error) -> bool {
    error.downcast_ref::<StoreError>().is_some_and(|error| {
        matches!(
            error,
            StoreError::Io { .. } | StoreError::NotWritable { .. } | StoreError::Gone(_)
        )
    })
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown cause")
}
