//! A dial: the same windows of text, judged at every level of something that is turned.

use crate::error::check_finite;
use crate::{StatisticsError, WindowLoss};

/// Losses of the same windows at two levels or more, the lowest level first. The dial of the
/// experiment is the commitment window W = 1, 2, 4, …
#[derive(Debug, Clone, PartialEq)]
pub struct Dial {
    /// Summed losses in nats: for each level, one a window.
    losses_nats: Vec<Vec<f64>>,
    /// Targets of each window.
    n_targets: Vec<u32>,
}

impl Dial {
    /// `levels` holds one list of windows a level; position i of all lists is the same window.
    ///
    /// # Errors
    /// [`StatisticsError::TooFew`] with fewer than 2 levels, [`StatisticsError::UnequalLengths`] or
    /// [`StatisticsError::UnequalTargets`] when a level's windows are not those of the first,
    /// [`StatisticsError::Empty`] without windows or when a window has no targets, and
    /// [`StatisticsError::NotFinite`].
    pub fn new(levels: &[impl AsRef<[WindowLoss]>]) -> Result<Self, StatisticsError> {
        if levels.len() < 2 {
            let (what, needed, got) = ("number of levels of a dial", 2, levels.len());
            return Err(StatisticsError::TooFew { what, needed, got });
        }
        let n_targets: Vec<u32> =
            levels[0].as_ref().iter().map(|window| window.n_targets).collect();
        if n_targets.is_empty() {
            return Err(StatisticsError::Empty { what: "set of windows" });
        }
        if n_targets.contains(&0) {
            return Err(StatisticsError::Empty { what: "set of target tokens of a window" });
        }
        let losses_nats = levels
            .iter()
            .map(|level| {
                check_same_windows(&n_targets, level.as_ref())?;
                let losses = level.as_ref().iter().map(|window| window.nll_nats);
                check_finite("window loss", losses.clone())?;
                Ok(losses.collect())
            })
            .collect::<Result<_, StatisticsError>>()?;
        Ok(Self { losses_nats, n_targets })
    }

    /// Number of levels, at least 2.
    pub fn levels(&self) -> usize {
        self.losses_nats.len()
    }

    /// Number of windows, at least 1.
    pub fn windows(&self) -> usize {
        self.n_targets.len()
    }

    /// `ln` of each level's perplexity: `ΣNLL / Σtargets`, in nats.
    pub fn mean_nll_nats(&self) -> Vec<f64> {
        self.mean_nll_nats_of(|visit| (0..self.windows()).for_each(visit))
    }

    /// [`Dial::mean_nll_nats`] of the windows that `windows` visits, as often as it visits them.
    pub(crate) fn mean_nll_nats_of(&self, windows: impl FnOnce(&mut dyn FnMut(usize))) -> Vec<f64> {
        let mut sums = vec![0.0; self.levels()];
        let mut targets = 0_u64;
        windows(&mut |window| {
            targets += u64::from(self.n_targets[window]);
            for (sum, losses) in sums.iter_mut().zip(&self.losses_nats) {
                *sum += losses[window];
            }
        });
        sums.iter().map(|sum| sum / targets as f64).collect()
    }

    /// The losses of one window, the lowest level first.
    pub(crate) fn of_window(&self, window: usize) -> Vec<f64> {
        self.losses_nats.iter().map(|losses| losses[window]).collect()
    }
}

fn check_same_windows(n_targets: &[u32], level: &[WindowLoss]) -> Result<(), StatisticsError> {
    if level.len() != n_targets.len() {
        let (first, second) = (n_targets.len(), level.len());
        return Err(StatisticsError::UnequalLengths { first, second });
    }
    let pairs = n_targets.iter().zip(level).enumerate();
    for (index, (&first, window)) in pairs {
        if window.n_targets != first {
            let second = window.n_targets;
            return Err(StatisticsError::UnequalTargets { index, first, second });
        }
    }
    Ok(())
}
