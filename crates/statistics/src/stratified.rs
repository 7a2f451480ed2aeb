//! Stratified bootstrap: the interval of a mean of means, such as that of accuracy over several tasks.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::bootstrap::{check_size, draw_windows, quantile};
use crate::error::check_finite;
use crate::{BootstrapPlan, Interval, StatisticsError};

/// Values that are drawn among themselves only, and what their mean weighs beside those of others.
#[derive(Debug, Clone, PartialEq)]
pub struct Stratum {
    /// Weight of its mean, a positive number.
    pub weight: f64,
    /// One value an item.
    pub values: Vec<f64>,
}

impl Stratum {
    /// The paired differences `first - second` of the same items. Whatever is drawn of them is drawn of
    /// both sides, so the mean of their resamples is the difference of two means under the same draws.
    ///
    /// # Errors
    /// [`StatisticsError::UnequalLengths`] where the two have not as many items.
    pub fn of_differences(
        weight: f64,
        first: &[f64],
        second: &[f64],
    ) -> Result<Stratum, StatisticsError> {
        if first.len() != second.len() {
            let (first, second) = (first.len(), second.len());
            return Err(StatisticsError::UnequalLengths { first, second });
        }
        let values = first.iter().zip(second).map(|(first, second)| first - second).collect();
        Ok(Stratum { weight, values })
    }

    fn check(&self, plan: BootstrapPlan) -> Result<(), StatisticsError> {
        if !(self.weight > 0.0 && self.weight.is_finite()) {
            let (what, value) = ("weight of a stratum", self.weight);
            return Err(StatisticsError::OutOfRange { what, value, expected: "a positive number" });
        }
        check_size(self.values.len(), plan.block_windows.max(2), plan)?;
        check_finite("value of a stratum", self.values.iter().copied())
    }
}

/// Percentile interval of `Σ weight · mean / Σ weight` over strata.
///
/// Each resample draws, stratum by stratum, as many items with replacement as the stratum has; the
/// limits are the quantiles of what the resamples come to. The strata themselves are not drawn: the
/// interval is about other items of the same tasks, and says nothing of other tasks.
///
/// Stratified bootstrap: Davison & Hinkley 1997, "Bootstrap Methods and their Application", section 3.2.
/// Of one stratum it is [`crate::mean_interval`], to the bit where the weight is 1.
///
/// # Errors
/// [`StatisticsError::Empty`] without a stratum, [`StatisticsError::TooFew`] for a stratum of fewer than
/// 2 values or fewer than a block, [`StatisticsError::OutOfRange`] for a weight that is not positive,
/// zero resamples or a zero block, and [`StatisticsError::NotFinite`].
pub fn stratified_mean_interval(
    strata: &[Stratum],
    plan: BootstrapPlan,
) -> Result<Interval, StatisticsError> {
    if strata.is_empty() {
        return Err(StatisticsError::Empty { what: "set of strata" });
    }
    strata.iter().try_for_each(|own| own.check(plan))?;
    let whole = |own: &Stratum| own.values.iter().sum::<f64>() / own.values.len() as f64;
    let estimate = weighted(strata, whole);
    let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
    let mut means: Vec<f64> = (0..plan.resamples)
        .map(|_| weighted(strata, |own| resampled(own, plan.block_windows, &mut rng)))
        .collect();
    means.sort_by(f64::total_cmp);
    let tail = plan.level.tail();
    Ok(Interval { lower: quantile(&means, tail), estimate, upper: quantile(&means, 1.0 - tail) })
}

/// The weighted mean of what `mean` says of each stratum, asked in their order.
fn weighted(strata: &[Stratum], mut mean: impl FnMut(&Stratum) -> f64) -> f64 {
    let (mut sum, mut weights) = (0.0, 0.0);
    for own in strata {
        sum += own.weight * mean(own);
        weights += own.weight;
    }
    sum / weights
}

/// The mean of one resample of a stratum.
fn resampled(own: &Stratum, block: usize, rng: &mut ChaCha8Rng) -> f64 {
    let mut sum = 0.0;
    draw_windows(rng, own.values.len(), block, |position| sum += own.values[position]);
    sum / own.values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConfidenceLevel, mean_interval};

    const PLAN: BootstrapPlan =
        BootstrapPlan { resamples: 10_000, block_windows: 1, seed: 1, level: ConfidenceLevel::P95 };

    fn stratum(weight: f64, values: &[f64]) -> Stratum {
        Stratum { weight, values: values.to_vec() }
    }

    /// `n` items of which the first `right` are right.
    fn task(weight: f64, right: usize, n: usize) -> Stratum {
        stratum(weight, &(0..n).map(|item| f64::from(u8::from(item < right))).collect::<Vec<_>>())
    }

    #[test]
    fn one_stratum_is_the_plain_mean() {
        let values = [0.0, 1.0, 1.0, 0.0, 0.25, -3.0, 1.0];
        let plain = mean_interval(&values, PLAN).unwrap();
        assert_eq!(stratified_mean_interval(&[stratum(1.0, &values)], PLAN).unwrap(), plain);
    }

    #[test]
    fn every_task_counts_once_whatever_its_size() {
        let tasks = [task(1.0, 48, 60), task(1.0, 200, 1000)];
        let interval = stratified_mean_interval(&tasks, PLAN).unwrap();
        assert!((interval.estimate - 0.5).abs() < 1e-12);
        // By hand: the variance of a mean of means, which the smaller task makes up.
        let variance = (0.8 * 0.2 / 60.0 + 0.2 * 0.8 / 1000.0) / 4.0;
        let width = 2.0 * 1.96 * f64::sqrt(variance);
        assert!(((interval.upper - interval.lower) / width - 1.0).abs() < 0.06, "{interval:?}");
    }

    #[test]
    fn weights_are_those_of_a_micro_mean() {
        let parts = [task(30.0, 12, 30), task(10.0, 8, 10)];
        let interval = stratified_mean_interval(&parts, PLAN).unwrap();
        assert!((interval.estimate - 20.0 / 40.0).abs() < 1e-12);
        let scaled = [task(0.75, 12, 30), task(0.25, 8, 10)];
        let same = stratified_mean_interval(&scaled, PLAN).unwrap();
        assert!((same.lower - interval.lower).abs() < 1e-12);
    }

    #[test]
    fn differences_are_drawn_together() {
        let (dense, own) = (task(1.0, 40, 60), task(1.0, 30, 60));
        let pair = |weight| Stratum::of_differences(weight, &own.values, &dense.values).unwrap();
        let interval = stratified_mean_interval(&[pair(1.0), pair(1.0)], PLAN).unwrap();
        assert!((interval.estimate + 10.0 / 60.0).abs() < 1e-12);
        // Ten items of sixty differ, all one way: no resample is above nothing, and pairing leaves less
        // spread than two independent means would have.
        assert!(interval.upper < 0.0 && interval.lower > -0.28, "{interval:?}");
        let same = Stratum::of_differences(1.0, &own.values, &own.values).unwrap();
        let none = stratified_mean_interval(&[same], PLAN).unwrap();
        assert_eq!((none.lower, none.estimate, none.upper), (0.0, 0.0, 0.0));
    }

    #[test]
    fn what_has_no_interval_is_refused() {
        let two = stratum(1.0, &[0.0, 1.0]);
        let refused =
            |strata: &[Stratum], plan| stratified_mean_interval(strata, plan).unwrap_err();
        assert!(matches!(refused(&[], PLAN), StatisticsError::Empty { .. }));
        let one = stratum(1.0, &[1.0]);
        assert!(matches!(refused(&[two.clone(), one], PLAN), StatisticsError::TooFew { .. }));
        let nan = stratum(1.0, &[0.0, f64::NAN]);
        assert!(matches!(refused(&[nan], PLAN), StatisticsError::NotFinite { index: 1, .. }));
        for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let own = Stratum { weight, ..two.clone() };
            assert!(matches!(refused(&[own], PLAN), StatisticsError::OutOfRange { .. }));
        }
        let none = BootstrapPlan { resamples: 0, ..PLAN };
        assert!(matches!(refused(&[two], none), StatisticsError::OutOfRange { .. }));
        let unequal = Stratum::of_differences(1.0, &[1.0], &[]);
        assert_eq!(unequal, Err(StatisticsError::UnequalLengths { first: 1, second: 0 }));
    }
}
