//! How fast cells are finished, and when the last one will be.

/// Seconds of the past that count.
const WINDOW: f64 = 1800.0;

/// What was finished of a share within the last half hour: the age of each cell's file in seconds, and what
/// the cell was expected to cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Pace {
    finished: Vec<(f64, f64)>,
}

/// Cells and cost a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    pub(super) cells_per_second: f64,
    cost_per_second: f64,
}

impl Pace {
    /// Takes in a finished cell.
    pub(super) fn add(&mut self, age_seconds: f64, cost: f64) {
        if age_seconds <= WINDOW {
            self.finished.push((age_seconds.max(0.0), cost));
        }
    }

    /// All that another one took in, too.
    pub(super) fn extend(&mut self, other: &Pace) {
        self.finished.extend(&other.finished);
    }

    /// The rate since the oldest of these cells was finished, which is not counted itself: when it was begun
    /// nobody knows. None before there are two.
    pub(super) fn rate(&self) -> Option<Rate> {
        let oldest = self.finished.iter().max_by(|a, b| a.0.total_cmp(&b.0))?;
        let (n, cost) = (self.finished.len(), self.finished.iter().map(|own| own.1).sum::<f64>());
        (n > 1 && oldest.0 > 0.0).then(|| Rate {
            cells_per_second: (n - 1) as f64 / oldest.0,
            cost_per_second: (cost - oldest.1) / oldest.0,
        })
    }
}

impl Rate {
    /// Seconds until cells of this number and cost are finished; by their number where costs are not known.
    pub(super) fn seconds_for(&self, n_cells: usize, cost: f64) -> f64 {
        if self.cost_per_second > 0.0 && cost > 0.0 {
            cost / self.cost_per_second
        } else {
            n_cells as f64 / self.cells_per_second
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_share_is_told_right() {
        let mut pace = Pace::default();
        assert_eq!(pace.rate(), None);
        pace.add(100.0, 5.0);
        assert_eq!(pace.rate(), None, "one cell says nothing of how long it took");
        for age in [90.0, 80.0, 70.0, 60.0, 50.0, 40.0, 30.0, 20.0, 10.0, 0.0] {
            pace.add(age, 2.0);
        }
        let rate = pace.rate().unwrap();
        assert!((rate.cells_per_second - 0.1).abs() < 1e-12);
        assert!((rate.seconds_for(3, 6.0) - 30.0).abs() < 1e-9);
        // Dear cells take longer.
        assert!((rate.seconds_for(3, 60.0) - 300.0).abs() < 1e-9);
        assert!((rate.seconds_for(3, 0.0) - 30.0).abs() < 1e-9);
    }

    #[test]
    fn what_stands_still_slows_down() {
        let mut pace = Pace::default();
        pace.add(1000.0, 1.0);
        pace.add(900.0, 1.0);
        pace.add(4000.0, 1.0);
        let rate = pace.rate().unwrap();
        assert!((rate.cells_per_second - 0.001).abs() < 1e-12, "the third is too old to count");
        let mut all = Pace::default();
        all.extend(&pace);
        all.extend(&pace);
        assert!((all.rate().unwrap().cells_per_second - 0.003).abs() < 1e-12);
    }

    #[test]
    fn costs_that_are_zero_count_cells() {
        let mut pace = Pace::default();
        pace.add(10.0, 0.0);
        pace.add(5.0, 0.0);
        assert!((pace.rate().unwrap().seconds_for(4, 0.0) - 40.0).abs() < 1e-9);
    }
}
