//! What a "not significant" could have missed: the minimum detectable effect of a paired test.

use statrs::distribution::{ContinuousCDF, Normal};

use crate::StatisticsError;

/// Halvings of the search interval: past 60 the difference no longer moves an f64.
const BISECTIONS: usize = 80;

/// Smallest true difference of two paired proportions that McNemar's test would find.
///
/// Solves, for the difference δ,
///
/// ```text
/// n·δ² = ( z(1-α/2)·sqrt(ψ) + z(power)·sqrt(ψ - δ²) )²
/// ```
///
/// where ψ is the expected share of discordant items: Connor 1987, "Sample size for testing
/// differences in proportions for the paired-sample design", Biometrics 43, 207–211. Asymptotic:
/// the exact test needs slightly more.
///
/// `Ok(None)` when not even the largest possible difference (δ = ψ) would be found with this many
/// items, which is also the answer for ψ = 0.
///
/// # Errors
/// [`StatisticsError::Empty`] for no items; [`StatisticsError::OutOfRange`] unless
/// `0 ≤ discordant_share ≤ 1`, `0 < alpha < 1` and `0.5 ≤ power < 1`.
pub fn minimum_detectable_difference_paired(
    items: u64,
    discordant_share: f64,
    alpha: f64,
    power: f64,
) -> Result<Option<f64>, StatisticsError> {
    if items == 0 {
        return Err(StatisticsError::Empty { what: "set of items" });
    }
    let design = Design::new(discordant_share, alpha, power)?;
    if design.excess(items, discordant_share) < 0.0 || discordant_share <= 0.0 {
        return Ok(None);
    }
    // The excess grows with the difference, so the root is where its sign changes.
    let (mut below, mut above) = (0.0, discordant_share);
    for _ in 0..BISECTIONS {
        let middle = f64::midpoint(below, above);
        if design.excess(items, middle) < 0.0 { below = middle } else { above = middle }
    }
    Ok(Some(above))
}

/// What is settled before items are counted.
struct Design {
    discordant_share: f64,
    z_alpha: f64,
    z_power: f64,
}

impl Design {
    fn new(discordant_share: f64, alpha: f64, power: f64) -> Result<Self, StatisticsError> {
        let share_is_fine = (0.0..=1.0).contains(&discordant_share);
        let share = "share of discordant items";
        check_range(share, discordant_share, "a number between 0 and 1", share_is_fine)?;
        let (z_alpha, z_power) = critical_values(alpha, power)?;
        Ok(Self { discordant_share, z_alpha, z_power })
    }

    /// What `δ·sqrt(n)` has to reach for the difference to be found.
    fn critical(&self, difference: f64) -> f64 {
        let spread = (self.discordant_share - difference * difference).max(0.0).sqrt();
        self.z_alpha * self.discordant_share.sqrt() + self.z_power * spread
    }

    /// By how much it is reached.
    fn excess(&self, items: u64, difference: f64) -> f64 {
        difference * (items as f64).sqrt() - self.critical(difference)
    }
}

/// The normal quantiles of a two-sided level and of a power: `z(1-α/2)` and `z(power)`.
pub(crate) fn critical_values(alpha: f64, power: f64) -> Result<(f64, f64), StatisticsError> {
    let alpha_is_fine = alpha > 0.0 && alpha < 1.0;
    check_range("alpha", alpha, "a number strictly between 0 and 1", alpha_is_fine)?;
    check_range("power", power, "at least 0.5 and below 1", (0.5..1.0).contains(&power))?;
    let normal = Normal::standard();
    Ok((normal.inverse_cdf(1.0 - alpha / 2.0), normal.inverse_cdf(power)))
}

pub(crate) fn check_range(
    what: &'static str,
    value: f64,
    expected: &'static str,
    holds: bool,
) -> Result<(), StatisticsError> {
    if holds { Ok(()) } else { Err(StatisticsError::OutOfRange { what, value, expected }) }
}
