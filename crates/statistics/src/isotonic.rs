//! Isotonic regression: the rising sequence that is closest to a given one.

/// The rising (never falling) sequence `f` with the least `Σ (vᵢ - fᵢ)²`, by pooling neighbours that
/// stand in the wrong order.
///
/// Ayer, Brunk, Ewing, Reid & Silverman 1955, "An empirical distribution function for sampling with
/// incomplete information", Ann. Math. Statist. 26, 641–647; Barlow, Bartholomew, Bremner & Brunk
/// 1972, "Statistical Inference under Order Restrictions", section 1.2. One pass, `n` steps.
///
/// Values that already rise, and ties, come back as they are, to the bit; values of one pool come
/// back equal to the bit. Each pool's value is the mean of its members, so that the mean of all values
/// is kept. The values are finite.
pub fn isotonic_fit(values: &[f64]) -> Vec<f64> {
    let mut pools: Vec<Pool> = Vec::new();
    for &value in values {
        let mut last = Pool { mean: value, members: 1 };
        while let Some(before) = pools.pop_if(|before| before.mean > last.mean) {
            let members = before.members + last.members;
            let share = |pool: &Pool| pool.members as f64 / members as f64;
            let mean = share(&before) * before.mean + share(&last) * last.mean;
            last = Pool { mean, members };
        }
        pools.push(last);
    }
    pools.iter().flat_map(|pool| std::iter::repeat_n(pool.mean, pool.members)).collect()
}

/// Neighbours that share one fitted value.
struct Pool {
    mean: f64,
    members: usize,
}
