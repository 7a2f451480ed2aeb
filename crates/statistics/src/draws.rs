//! The windows that a bootstrap draws, drawn once for all cells that have as many: many thousand
//! intervals of one plan then cost additions and no random numbers.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::bootstrap::{check_plan, check_size, draw_windows};
use crate::error::checked_exp;
use crate::perplexity::paired_differences;
use crate::{BootstrapPlan, Interval, StatisticsError, WindowLoss, mean_nll_nats};

/// Resamples that are added up side by side: their sums do not wait for each other.
const LANES: usize = 8;

/// Every window that a plan draws from a number of windows.
#[derive(Debug, Clone, PartialEq)]
pub struct Draws {
    windows: usize,
    plan: BootstrapPlan,
    /// Positions: for each group of [`LANES`] resamples the first draw of each, then the second of
    /// each, and so on. The last group is filled up with zeros.
    positions: Vec<u32>,
}

impl Draws {
    /// Draws for cells of so many windows.
    ///
    /// # Errors
    /// [`StatisticsError::OutOfRange`] and [`StatisticsError::TooFew`] as
    /// [`crate::perplexity_ratio_interval`].
    pub fn new(windows: usize, plan: BootstrapPlan) -> Result<Self, StatisticsError> {
        check_size(windows, plan.block_windows.max(2), plan)?;
        let n_groups = plan.resamples.div_ceil(LANES);
        let mut positions = vec![0; n_groups * windows * LANES];
        let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
        for resample in 0..plan.resamples {
            let (group, lane) = (resample / LANES, resample % LANES);
            let mut place = group * windows * LANES + lane;
            draw_windows(&mut rng, windows, plan.block_windows, |position| {
                positions[place] = position as u32;
                place += LANES;
            });
        }
        Ok(Self { windows, plan, positions })
    }

    /// [`crate::perplexity_ratio_interval`] of this plan, to the bit.
    ///
    /// # Errors
    /// As there, and [`StatisticsError::UnequalLengths`] for another number of windows than was drawn
    /// from.
    pub fn perplexity_ratio_interval(
        &self,
        baseline: &[WindowLoss],
        treated: &[WindowLoss],
    ) -> Result<Interval, StatisticsError> {
        let differences = paired_differences(baseline, treated)?;
        if differences.len() != self.windows {
            let (first, second) = (self.windows, differences.len());
            return Err(StatisticsError::UnequalLengths { first, second });
        }
        check_plan(&differences, self.plan)?;
        let estimate = mean_nll_nats(&differences)?;
        let mut means = self.means(&differences);
        let tail = self.plan.level.tail();
        Ok(Interval {
            lower: checked_exp("perplexity ratio", quantile(&mut means, tail))?,
            estimate: checked_exp("perplexity ratio", estimate)?,
            upper: checked_exp("perplexity ratio", quantile(&mut means, 1.0 - tail))?,
        })
    }

    /// Mean ΔNLL per target (nats) of each resample, in the order of drawing.
    fn means(&self, differences: &[WindowLoss]) -> Vec<f64> {
        let nll: Vec<f64> = differences.iter().map(|window| window.nll_nats).collect();
        let targets: Vec<u64> =
            differences.iter().map(|window| u64::from(window.n_targets)).collect();
        let has_equal_windows = targets.windows(2).all(|pair| pair[0] == pair[1]);
        let mut means = Vec::with_capacity(self.plan.resamples + LANES);
        for group in self.positions.chunks_exact(self.windows * LANES) {
            // In the order of drawing, so that every sum is rounded as it is one by one.
            let nll = sums(group, &nll);
            let targets = match has_equal_windows {
                true => [targets[0] * self.windows as u64; LANES],
                false => sums(group, &targets),
            };
            means.extend(nll.iter().zip(targets).map(|(nll, targets)| nll / targets as f64));
        }
        means.truncate(self.plan.resamples);
        means
    }
}

/// The sum of what each resample of a group drew.
fn sums<T: Copy + Default + std::ops::AddAssign>(group: &[u32], values: &[T]) -> [T; LANES] {
    let mut sums = [T::default(); LANES];
    for drawn in group.chunks_exact(LANES) {
        for (sum, &position) in sums.iter_mut().zip(drawn) {
            *sum += values[position as usize];
        }
    }
    sums
}

/// The quantile of [`crate::bootstrap`], of values in any order, which it leaves in another.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    let position = share * (values.len() - 1) as f64;
    let below = position.floor() as usize;
    let weight = position - below as f64;
    let (_, &mut below, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let above = above.iter().copied().min_by(f64::total_cmp).unwrap_or(below);
    below + weight * (above - below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConfidenceLevel, perplexity_ratio_interval};

    fn losses(n: usize, factor: f64, targets: impl Fn(usize) -> u32) -> Vec<WindowLoss> {
        let loss = |index: usize| (1.0 + factor * (index * index) as f64).sin().abs() * 300.0;
        let window = |index| WindowLoss { nll_nats: loss(index), n_targets: targets(index) };
        (0..n).map(window).collect()
    }

    #[test]
    fn intervals_are_those_of_one_by_one_to_the_bit() {
        for (n, resamples, block_windows) in [(2, 1, 1), (4, 7, 2), (32, 1_000, 1), (33, 999, 5)] {
            for uneven in [0, 3] {
                let targets = |index: usize| 100 + uneven * index as u32;
                let (base, treated) = (losses(n, 0.3, targets), losses(n, 0.7, targets));
                let level = ConfidenceLevel::P95;
                let plan = BootstrapPlan { resamples, block_windows, seed: 7, level };
                let draws = Draws::new(n, plan).unwrap();
                let fast = draws.perplexity_ratio_interval(&base, &treated).unwrap();
                let plain = perplexity_ratio_interval(&base, &treated, plan).unwrap();
                let bits = |own: Interval| [own.lower, own.estimate, own.upper].map(f64::to_bits);
                assert_eq!(bits(fast), bits(plain), "{n} windows, {resamples} resamples");
            }
        }
    }

    #[test]
    fn other_windows_are_refused() {
        let level = ConfidenceLevel::P95;
        let plan = BootstrapPlan { resamples: 10, block_windows: 1, seed: 1, level };
        let draws = Draws::new(4, plan).unwrap();
        let three = losses(3, 0.3, |_| 100);
        let expected = Err(StatisticsError::UnequalLengths { first: 4, second: 3 });
        assert_eq!(draws.perplexity_ratio_interval(&three, &three), expected);
        assert!(matches!(Draws::new(1, plan), Err(StatisticsError::TooFew { .. })));
        let none = BootstrapPlan { resamples: 0, ..plan };
        assert!(matches!(Draws::new(4, none), Err(StatisticsError::OutOfRange { .. })));
    }
}
