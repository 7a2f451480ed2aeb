//! How far two measurements are apart at least.

use evidence::Row;

use crate::accuracy::{Accuracy, AccuracyDifference};
use crate::atlas::Mean;
use crate::perplexity::Perplexity;
use crate::quadrants::Value;
use crate::tasks::MeanDifference;

/// A perplexity as a multiple of dense, with the limits of its 95 % interval where it has one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// The estimate.
    pub value: f64,
    /// The lower and the upper limit; none for a single window.
    pub limits: Option<(f64, f64)>,
}

impl Ratio {
    /// Dense itself.
    pub const DENSE: Ratio = Ratio { value: 1.0, limits: Some((1.0, 1.0)) };

    /// Of a row that was compared with dense.
    pub fn of(row: &Row<Perplexity>) -> Option<Ratio> {
        let own = row.measured.ratio()?;
        Some(Ratio { value: own.ratio, limits: own.lower.zip(own.upper) })
    }

    /// Of a perplexity in a quadrant.
    pub fn of_value(value: &Value) -> Ratio {
        Ratio { value: value.value, limits: value.lower.zip(value.upper) }
    }
}

/// An effect on a logarithmic scale: the smallest that the intervals leave possible, and the estimate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// The smallest that the intervals leave possible; 0 where they leave none.
    pub sure: f64,
    /// That of the estimates.
    pub estimate: f64,
}

impl Effect {
    fn new(sure: f64, estimate: f64) -> Effect {
        let or_none = |own: f64| if own.is_finite() && own > 0.0 { own } else { 0.0 };
        Effect { sure: or_none(sure), estimate: or_none(estimate.abs()) }
    }

    /// Between two perplexities, in nats a token: the gap between their intervals. That is less than the
    /// interval of their ratio would leave, for their windows are the same.
    pub fn between(first: Ratio, second: Ratio) -> Effect {
        let estimate = (first.value / second.value).ln();
        let sure = match (first.limits, second.limits) {
            (Some(first), Some(second)) => gap(first, second, f64::ln),
            _ => 0.0,
        };
        Effect::new(sure, estimate)
    }

    /// Of last words that are lost or won, as the logarithm of the share that is left of dense. Where none
    /// is left, as if half an item were.
    pub fn of_accuracy(dense: &Row<Accuracy>, compared: &AccuracyDifference) -> Effect {
        let Accuracy { accuracy, n_items, .. } = dense.measured;
        let least = 0.5 / n_items as f64;
        let left =
            |difference: f64| ((accuracy + difference).max(least) / accuracy.max(least)).ln().abs();
        let nearest = nearest_to(0.0, compared.lower, compared.upper);
        Effect::new(left(nearest), left(compared.difference))
    }

    /// Of the mean over tasks, as the logarithm of the share that is left of dense.
    pub fn of_tasks(own: &MeanDifference) -> Effect {
        /// A mean over tasks of which less is left counts as this.
        const LEAST: f64 = 1e-3;
        let left = |difference: f64| {
            ((own.dense + difference).max(LEAST) / own.dense.max(LEAST)).ln().abs()
        };
        let limits = own.lower.zip(own.upper);
        let nearest = limits.map(|(lower, upper)| nearest_to(0.0, lower, upper));
        Effect::new(nearest.map_or(0.0, left), left(own.difference))
    }

    /// Of a correlation, by Fisher's transformation; 1 itself counts as .9999.
    pub fn of_correlation(mean: &Mean) -> Effect {
        let fisher = |value: f64| value.clamp(-0.9999, 0.9999).atanh().abs();
        let nearest =
            mean.lower.zip(mean.upper).map(|(lower, upper)| nearest_to(0.0, lower, upper));
        Effect::new(nearest.map_or(0.0, fisher), fisher(mean.value))
    }

    /// Of a share against the one of chance.
    pub fn of_share(mean: &Mean, by_chance: f64) -> Effect {
        let away = |share: f64| (share / by_chance).ln().abs();
        let limits = mean.lower.zip(mean.upper);
        let nearest = limits.map(|(lower, upper)| nearest_to(by_chance, lower, upper));
        Effect::new(nearest.map_or(0.0, away), away(mean.value))
    }

    /// The one that is surer; of equals the one with the larger estimate.
    pub fn larger(self, other: Effect) -> Effect {
        let is_less =
            self.sure.total_cmp(&other.sure).then(self.estimate.total_cmp(&other.estimate));
        if is_less.is_lt() { other } else { self }
    }
}

/// The value of an interval that is nearest to `value`.
fn nearest_to(value: f64, lower: f64, upper: f64) -> f64 {
    if lower > value {
        lower
    } else if upper < value {
        upper
    } else {
        value
    }
}

/// What lies between two intervals on a scale; negative where they overlap.
fn gap(first: (f64, f64), second: (f64, f64), scale: fn(f64) -> f64) -> f64 {
    let above = scale(first.0) - scale(second.1);
    let below = scale(second.0) - scale(first.1);
    if above > below { above } else { below }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(value: f64, limits: Option<(f64, f64)>) -> Ratio {
        Ratio { value, limits }
    }

    #[test]
    fn only_what_lies_between_intervals_is_sure() {
        let (small, large) = (ratio(2.0, Some((1.5, 2.5))), ratio(8.0, Some((5.0, 9.0))));
        for effect in [Effect::between(small, large), Effect::between(large, small)] {
            assert!((effect.sure - 2.0_f64.ln()).abs() < 1e-12, "5 / 2.5: {effect:?}");
            assert!((effect.estimate - 4.0_f64.ln()).abs() < 1e-12);
        }
        let wide = ratio(3.0, Some((1.0, 9.0)));
        assert_eq!(Effect::between(small, wide).sure, 0.0);
        assert_eq!(Effect::between(small, ratio(8.0, None)).sure, 0.0, "no interval is not sure");
        let lost = ratio(f64::INFINITY, Some((f64::INFINITY, f64::INFINITY)));
        assert_eq!(Effect::between(lost, small), Effect { sure: 0.0, estimate: 0.0 });
        let nan = ratio(f64::NAN, Some((f64::NAN, f64::NAN)));
        assert_eq!(Effect::between(nan, small), Effect { sure: 0.0, estimate: 0.0 });
    }

    #[test]
    fn correlations_and_shares_count_from_their_nearer_limit() {
        let mean = |value, lower, upper| {
            let n_sites = 4;
            Mean { value, lower: Some(lower), upper: Some(upper), n_sites }
        };
        let effect = Effect::of_correlation(&mean(-0.5, -0.7, -0.3));
        assert!((effect.sure - 0.3_f64.atanh()).abs() < 1e-12);
        assert_eq!(Effect::of_correlation(&mean(0.1, -0.1, 0.3)).sure, 0.0);
        assert!(Effect::of_correlation(&mean(1.0, 1.0, 1.0)).sure > 4.0);
        let effect = Effect::of_share(&mean(0.6, 0.4, 0.8), 0.1);
        assert!((effect.sure - 4.0_f64.ln()).abs() < 1e-12);
        assert_eq!(Effect::of_share(&mean(0.1, 0.05, 0.2), 0.1).sure, 0.0);
        assert_eq!(Effect::of_share(&mean(0.1, 0.05, 0.2), 0.0).sure, 0.0, "no chance, no share");
    }
}
