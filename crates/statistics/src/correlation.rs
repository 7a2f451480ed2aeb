//! Correlation of two lists of numbers: of their values (Pearson) and of their ranks (Spearman).

use crate::StatisticsError;
use crate::error::check_finite;

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

fn check_pairs(first: &[f64], second: &[f64]) -> Result<(), StatisticsError> {
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
