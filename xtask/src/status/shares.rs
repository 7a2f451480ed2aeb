//! The cells of a run by share: how many are done, in hand, failed, lost and left, and how fast it goes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::SystemTime;

use runs::{CellStatus, InHand, Table, TableFile};

use super::pace::Pace;

/// What is known of a run.
pub(super) struct Known<'a> {
    /// All cells of the run.
    pub(super) ids: &'a [String],
    /// What is known of those that were tried.
    pub(super) status: &'a BTreeMap<String, CellStatus>,
    /// The files in its folder.
    pub(super) files: &'a [TableFile],
    /// Cells that are claimed.
    pub(super) in_hand: &'a [InHand],
    /// The instant, by the clock that stamps the files.
    pub(super) now: SystemTime,
}

/// Counts of one share, or of several.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Count {
    pub(super) cells: usize,
    pub(super) done: usize,
    pub(super) running: usize,
    pub(super) failed: usize,
    /// Begun by a process that is gone.
    pub(super) lost: usize,
    /// Not done, whatever else is known of them.
    pub(super) left: usize,
    /// What those are expected to cost.
    cost_left: f64,
    pace: Pace,
}

impl Count {
    pub(super) fn add(&mut self, other: &Count) {
        self.cells += other.cells;
        self.done += other.done;
        self.running += other.running;
        self.failed += other.failed;
        self.lost += other.lost;
        self.left += other.left;
        self.cost_left += other.cost_left;
        self.pace.extend(&other.pace);
    }

    /// Cells a minute; none where too few were finished lately.
    pub(super) fn cells_per_minute(&self) -> Option<f64> {
        self.pace.rate().map(|rate| 60.0 * rate.cells_per_second)
    }

    /// Seconds until all is done, at this rate; 0 where it is.
    pub(super) fn seconds_left(&self) -> Option<f64> {
        if self.left == 0 {
            return Some(0.0);
        }
        self.pace.rate().map(|rate| rate.seconds_for(self.left, self.cost_left))
    }
}

/// The run as one share, or the shares of a submission (their cells and what each is expected to cost),
/// behind which comes what is in none of them, if anything is.
pub(super) fn counts(known: &Known<'_>, shares: &[(&[String], &[f64])]) -> Vec<Count> {
    let ages = ages(known.files, known.now);
    let in_hand: BTreeMap<&str, &InHand> =
        known.in_hand.iter().map(|own| (own.id.as_str(), own)).collect();
    let count = |ids: &mut dyn Iterator<Item = (&str, f64)>| {
        let mut count = Count::default();
        for (id, cost) in ids {
            count.cells += 1;
            match known.status.get(id) {
                Some(CellStatus::Done) => {
                    count.done += 1;
                    if let Some(age) = ages.get(id) {
                        count.pace.add(*age, cost);
                    }
                    continue;
                }
                Some(CellStatus::Failed) => count.failed += 1,
                None => {}
            }
            count.left += 1;
            count.cost_left += cost;
            match in_hand.get(id) {
                Some(own) if own.is_lost => count.lost += 1,
                Some(_) => count.running += 1,
                None => {}
            }
        }
        count
    };
    let mut rest: BTreeSet<&str> = known.ids.iter().map(String::as_str).collect();
    let mut counts = Vec::with_capacity(shares.len() + 1);
    for (ids, costs) in shares {
        // A run that was planned anew since may lack a cell of an old share.
        let own = ids.iter().zip(costs.iter().chain(std::iter::repeat(&0.0)));
        let mut own =
            own.filter(|(id, _)| rest.remove(id.as_str())).map(|(id, cost)| (id.as_str(), *cost));
        counts.push(count(&mut own));
    }
    if !rest.is_empty() || counts.is_empty() {
        counts.push(count(&mut rest.iter().map(|id| (*id, 0.0))));
    }
    counts
}

/// Seconds since the file of each cell was written; a file that holds several cells was folded later and
/// tells nothing.
fn ages(files: &[TableFile], now: SystemTime) -> BTreeMap<&str, f64> {
    let age = |file: &TableFile| {
        let written = fs::metadata(&file.path).and_then(|about| about.modified()).ok()?;
        Some(now.duration_since(written).unwrap_or_default().as_secs_f64())
    };
    let results = files.iter().filter(|file| file.table != Table::Failures);
    results.filter_map(|file| Some((file.id.as_deref()?, age(file)?))).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_cell_is_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let ids: Vec<String> = "abcdefgh".chars().map(|id| id.to_string()).collect();
        let file = |id: Option<&str>, name: &str| {
            let path = folder.path().join(name);
            fs::write(&path, "").unwrap();
            TableFile { id: id.map(str::to_owned), table: Table::Windows, path }
        };
        // The last one holds two cells.
        let files = [file(Some("a"), "a"), file(Some("b"), "b"), file(None, "folded")];
        let done = ["a", "b", "g", "h"].map(|id| (id.to_owned(), CellStatus::Done));
        let failed = ("c".to_owned(), CellStatus::Failed);
        let status = done.into_iter().chain([failed]).collect();
        let hand = |id: &str, is_lost| InHand { id: id.into(), holder: "p".into(), is_lost };
        let in_hand = [hand("c", false), hand("d", true), hand("a", false)];
        let now = SystemTime::now() + Duration::from_secs(60);
        let known = Known { ids: &ids, status: &status, files: &files, in_hand: &in_hand, now };
        let whole = counts(&known, &[]);
        assert_eq!(whole.len(), 1);
        let sum = &whole[0];
        let told = |own: &Count| (own.cells, own.done, own.running, own.failed, own.lost, own.left);
        assert_eq!(told(sum), (8, 4, 1, 1, 1, 4));
        assert!(sum.cells_per_minute().is_some_and(|rate| rate > 0.5 && rate < 1.5));
        // Shares, one cell of which is not in the run any more, and the rest.
        let first = ["a", "c", "zz"].map(str::to_owned);
        let second = ["b", "d"].map(str::to_owned);
        let parts = counts(&known, &[(&first, &[1.0, 4.0, 9.0]), (&second, &[2.0, 3.0])]);
        assert_eq!(
            parts.iter().map(told).collect::<Vec<_>>(),
            [(2, 1, 1, 1, 0, 1), (2, 1, 0, 0, 1, 1), (4, 2, 0, 0, 0, 2)]
        );
        assert_eq!((parts[0].cost_left, parts[1].cost_left), (4.0, 3.0));
        let mut all = Count::default();
        parts.iter().for_each(|part| all.add(part));
        assert_eq!(told(&all), told(sum));
    }
}
