//! Adjusted p-values for many comparisons: Holm and Benjamini–Hochberg.
//!
//! An adjusted p-value is compared with the level directly. Both functions return values in the
//! order of the input, never below the input and never above 1; an empty family stays empty.

use crate::StatisticsError;

/// Holm's step-down adjustment, which bounds the chance of any false positive in the family.
///
/// With `p(1) ≤ … ≤ p(m)`: `adjusted(i) = min(1, max over j ≤ i of (m - j + 1)·p(j))`. Holm 1979,
/// "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6, 65–70. Valid
/// under any dependence.
///
/// # Errors
/// [`StatisticsError::OutOfRange`] when a p-value is not between 0 and 1.
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>, StatisticsError> {
    let order = ascending_order(p_values)?;
    let m = p_values.len();
    let mut adjusted = vec![0.0; m];
    let mut running = 0.0_f64;
    for (rank, &index) in order.iter().enumerate() {
        running = running.max((m - rank) as f64 * p_values[index]);
        adjusted[index] = running.min(1.0);
    }
    Ok(adjusted)
}

/// Benjamini–Hochberg's step-up adjustment, which bounds the expected share of false positives
/// among the rejected.
///
/// `adjusted(i) = min(1, min over j ≥ i of m·p(j)/j)`. Benjamini & Hochberg 1995, JRSS B 57,
/// 289–300. Valid under independence and positive dependence.
///
/// # Errors
/// [`StatisticsError::OutOfRange`] when a p-value is not between 0 and 1.
pub fn benjamini_hochberg(p_values: &[f64]) -> Result<Vec<f64>, StatisticsError> {
    let order = ascending_order(p_values)?;
    let m = p_values.len();
    let mut adjusted = vec![0.0; m];
    let mut running = 1.0_f64;
    for (rank, &index) in order.iter().enumerate().rev() {
        running = running.min(p_values[index] * (m as f64 / (rank + 1) as f64));
        adjusted[index] = running;
    }
    Ok(adjusted)
}

/// Positions of the p-values from the smallest to the largest, ties in input order.
fn ascending_order(p_values: &[f64]) -> Result<Vec<usize>, StatisticsError> {
    if let Some(&value) = p_values.iter().find(|value| !(0.0..=1.0).contains(*value)) {
        let expected = "a number between 0 and 1";
        return Err(StatisticsError::OutOfRange { what: "p-value", value, expected });
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&left, &right| p_values[left].total_cmp(&p_values[right]));
    Ok(order)
}
