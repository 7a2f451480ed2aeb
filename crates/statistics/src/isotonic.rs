//! Isotonic regression: the rising sequence that is closest to a given one.

use crate::StatisticsError;
use crate::error::check_finite;

/// The rising (never falling) sequence `f` with the least `Σ wᵢ(vᵢ - fᵢ)²`, by pooling neighbours
/// that stand in the wrong order.
///
/// Ayer, Brunk, Ewing, Reid & Silverman 1955, "An empirical distribution function for sampling with
/// incomplete information", Ann. Math. Statist. 26, 641–647; Barlow, Bartholomew, Bremner & Brunk
/// 1972, "Statistical Inference under Order Restrictions", section 1.2. One pass, `n` steps.
///
/// Values that already rise, and ties, come back as they are, to the bit; values of one pool come
/// back equal to the bit. Each pool's value is the weighted mean of its members, so that the
/// weighted mean of all values is kept.
///
/// # Errors
/// [`StatisticsError::Empty`] without values, [`StatisticsError::UnequalLengths`] when a value has
/// no weight, [`StatisticsError::NotFinite`], and [`StatisticsError::OutOfRange`] for a weight that
/// is not positive.
pub fn isotonic_fit(values: &[f64], weights: &[f64]) -> Result<Vec<f64>, StatisticsError> {
    if values.len() != weights.len() {
        let (first, second) = (values.len(), weights.len());
        return Err(StatisticsError::UnequalLengths { first, second });
    }
    if values.is_empty() {
        return Err(StatisticsError::Empty { what: "sequence to fit" });
    }
    check_finite("value to fit", values.iter().copied())?;
    check_finite("weight", weights.iter().copied())?;
    if let Some(&value) = weights.iter().find(|weight| **weight <= 0.0) {
        let expected = "a positive number";
        return Err(StatisticsError::OutOfRange { what: "weight", value, expected });
    }
    Ok(pool_adjacent(values.iter().copied().zip(weights.iter().copied())))
}

/// [`isotonic_fit`] of values that weigh the same, which the caller has checked.
pub(crate) fn isotonic_fit_of_equals(values: &[f64]) -> Vec<f64> {
    pool_adjacent(values.iter().map(|&value| (value, 1.0)))
}

/// Neighbours that share one fitted value.
struct Pool {
    mean: f64,
    weight: f64,
    members: usize,
}

fn pool_adjacent(weighted: impl Iterator<Item = (f64, f64)>) -> Vec<f64> {
    let mut pools: Vec<Pool> = Vec::new();
    for (value, weight) in weighted {
        let mut last = Pool { mean: value, weight, members: 1 };
        while let Some(before) = pools.pop_if(|before| before.mean > last.mean) {
            // Each weight is divided first: their sum may not fit where their shares do.
            let total = before.weight + last.weight;
            let (share_before, share_last) = (before.weight / total, last.weight / total);
            last = Pool {
                mean: share_before * before.mean + share_last * last.mean,
                weight: total,
                members: before.members + last.members,
            };
        }
        pools.push(last);
    }
    pools.iter().flat_map(|pool| std::iter::repeat_n(pool.mean, pool.members)).collect()
}
