//! What a worker says where nobody reads along: the lines of a log.

use std::{
    collections::BTreeMap,
    io::Write as _,
    sync::{Mutex, OnceLock, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use plan::Event;
use runs::utc;

/// The log of this process, once it has begun.
static LOG: OnceLock<Mutex<Log>> = OnceLock::new();

/// What has been said so far.
pub(crate) struct Log {
    n_cells: usize,
    n_tried: usize,
    /// Labels of the cells that are being computed, by id.
    labels: BTreeMap<String, String>,
}

impl Log {
    /// From now on events are lines for people.
    pub(crate) fn begin(n_cells: usize) {
        let log = Log { n_cells, n_tried: 0, labels: BTreeMap::new() };
        print(&format!("{n_cells} cells to do"));
        // A process runs one work order.
        let _ = LOG.set(Mutex::new(log));
    }

    /// Takes an event where a log has begun; whether it did.
    pub(crate) fn takes(event: &Event) -> bool {
        let Some(log) = LOG.get() else { return false };
        // A poisoned log has lost a line at most.
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = log.line(event) {
            print(&line);
        }
        true
    }

    fn line(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::Phase { message } | Event::Waiting { message } => Some(message.clone()),
            Event::CellStart { id, label, .. } => {
                self.labels.insert(id.clone(), label.clone());
                None
            }
            Event::Progress { .. } => None,
            Event::CellDone { id, seconds, tokens_per_second } => {
                let how = format!("done, {seconds:.1} s, {tokens_per_second:.0} tokens/s");
                Some(self.ended(id, &how))
            }
            Event::CellFailed { id, error } => Some(self.ended(id, &format!("FAILED: {error}"))),
            Event::CellElsewhere { id } => Some(self.ended(id, "done by another worker")),
            Event::End { done, failed, stopped } => {
                let how = if *stopped { "stopped" } else { "through" };
                Some(format!("{how}: {done} cells done, {failed} failed"))
            }
        }
    }

    fn ended(&mut self, id: &str, how: &str) -> String {
        self.n_tried += 1;
        let label = self.labels.remove(id).unwrap_or_else(|| id.to_owned());
        format!("[{}/{}] {label}: {how}", self.n_tried, self.n_cells)
    }
}

/// A line with the instant; if standard output is gone there is nobody to tell.
fn print(line: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let milliseconds = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let _ = writeln!(std::io::stdout().lock(), "{} {line}", utc(milliseconds));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_one_line() {
        let mut log = Log { n_cells: 2, n_tried: 0, labels: BTreeMap::new() };
        let start = Event::CellStart { id: "ab".into(), label: "opt dense".into(), units: 3 };
        assert_eq!(log.line(&start), None);
        let done = Event::CellDone { id: "ab".into(), seconds: 1.25, tokens_per_second: 99.6 };
        let line = log.line(&done).unwrap();
        assert_eq!(line, "[1/2] opt dense: done, 1.2 s, 100 tokens/s");
        let failed = Event::CellFailed { id: "cd".into(), error: "no memory".into() };
        assert_eq!(log.line(&failed).unwrap(), "[2/2] cd: FAILED: no memory");
        let end = Event::End { done: 1, failed: 1, stopped: false };
        assert_eq!(log.line(&end).unwrap(), "through: 1 cells done, 1 failed");
    }
}
