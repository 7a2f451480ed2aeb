//! Correlation of two lists of numbers: of their values (Pearson) and of their ranks (Spearman).

use crate::error::check_finite;
use crate::{ConfidenceLevel, Interval, StatisticsError};

/// Pearson's product-moment correlation:
/// `r = Σ(x-x̄)(y-ȳ) / sqrt(Σ(x-x̄)² · Σ(y-ȳ)²)`, between -1 and 1.
///
/// Pearson 1895, Proceedings of the Royal Society 58, 240-242. Each list is divided by its largest
/// deviation before squares are taken, so that sums of squares neither overflow nor vanish.
///
/// # Errors
/// [`StatisticsError::UnequalLengths`], [`StatisticsError::TooFew`] with fewer than 2 pairs,
/// [`StatisticsError::NotFinite`], and [`StatisticsError::Constant`] when all numbers of a list are
/// the same: then there is no correlation.
pub fn pearson(first: &[f64], second: &[f64]) -> Result<f64, StatisticsError> {
    check_pairs(first, second)?;
    let (x, y) = (unit_deviations(first)?, unit_deviations(second)?);
    let r: f64 = x.iter().zip(&y).map(|(x, y)| x * y).sum();
    Ok(r.clamp(-1.0, 1.0))
}

/// Spearman's rank correlation: Pearson's of the ranks, where equal numbers share the mean of their
/// ranks.
///
/// Spearman 1904, The American Journal of Psychology 15, 72-101.
///
/// # Errors
/// As [`pearson`].
pub fn spearman(first: &[f64], second: &[f64]) -> Result<f64, StatisticsError> {
    check_pairs(first, second)?;
    pearson(&mid_ranks(first), &mid_ranks(second))
}

/// Interval of Spearman's rank correlation, by Fisher's transformation.
///
/// With `r` of `n` pairs and `z` the two-sided critical value, the limits are
///
/// ```text
/// tanh( artanh(r) ± z·sqrt( (1 + r²/2) / (n - 3) ) )
/// ```
///
/// Bonett & Wright 2000, "Sample size requirements for estimating Pearson, Kendall and Spearman
/// correlations", Psychometrika 65, 23–28, who found this variance to hold for true correlations
/// up to 0.95 in absolute value. At `r = ±1` the transformation is infinite and both limits are
/// `r`: that says nothing about what other items would give.
///
/// # Errors
/// As [`pearson`], but [`StatisticsError::TooFew`] with fewer than 4 pairs.
pub fn spearman_interval(
    first: &[f64],
    second: &[f64],
    level: ConfidenceLevel,
) -> Result<Interval, StatisticsError> {
    let estimate = spearman(first, second)?;
    let (needed, got) = (4, first.len());
    if got < needed {
        let what = "interval of a rank correlation";
        return Err(StatisticsError::TooFew { what, needed, got });
    }
    let variance = (1.0 + estimate * estimate / 2.0) / (got - 3) as f64;
    Ok(fisher_interval(estimate, variance, level))
}

/// `tanh(artanh(estimate) ± z·sqrt(variance))`: Fisher's transformation, on which a correlation is
/// nearly normal. At ±1 it is infinite and both limits are the estimate.
pub(crate) fn fisher_interval(estimate: f64, variance: f64, level: ConfidenceLevel) -> Interval {
    let (centre, half) = (estimate.atanh(), level.critical_z() * variance.sqrt());
    Interval { lower: (centre - half).tanh(), estimate, upper: (centre + half).tanh() }
}

/// The rank of each number from 1 for the smallest; equal numbers share the mean of their ranks.
pub fn mid_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut below = 0;
    // `==` and not the total order: 0 and -0 are equal numbers.
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = below as f64 + (equal.len() + 1) as f64 / 2.0;
        equal.iter().for_each(|&index| ranks[index] = rank);
        below += equal.len();
    }
    ranks
}

pub(crate) fn check_pairs(first: &[f64], second: &[f64]) -> Result<(), StatisticsError> {
    if first.len() != second.len() {
        let (first, second) = (first.len(), second.len());
        return Err(StatisticsError::UnequalLengths { first, second });
    }
    if first.len() < 2 {
        let (what, needed, got) = ("correlation", 2, first.len());
        return Err(StatisticsError::TooFew { what, needed, got });
    }
    check_finite("number to correlate", first.iter().chain(second).copied())
}

/// Deviations from the mean, scaled so that their squares add up to 1.
fn unit_deviations(values: &[f64]) -> Result<Vec<f64>, StatisticsError> {
    // Compared as they are: the mean of equal numbers may be off by a rounding, which is no spread.
    if values.iter().all(|value| *value == values[0]) {
        return Err(StatisticsError::Constant { what: "a list to correlate" });
    }
    let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let scaled: Vec<f64> = values.iter().map(|value| value / largest).collect();
    let mean = scaled.iter().sum::<f64>() / scaled.len() as f64;
    let mut deviations: Vec<f64> = scaled.iter().map(|value| value - mean).collect();
    let widest = deviations.iter().fold(0.0_f64, |widest, value| widest.max(value.abs()));
    if widest == 0.0 {
        return Err(StatisticsError::Constant { what: "a list to correlate" });
    }
    deviations.iter_mut().for_each(|value| *value /= widest);
    let length = deviations.iter().map(|value| value * value).sum::<f64>().sqrt();
    deviations.iter_mut().for_each(|value| *value /= length);
    Ok(deviations)
}
