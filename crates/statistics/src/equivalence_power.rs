//! How likely a test of equivalence is to succeed, and how many windows or items it takes.

use statrs::distribution::{ContinuousCDF, Normal};

use crate::power::check_range;
use crate::{PairedCounts, StatisticsError};

/// More than anyone has.
const MOST: u64 = 1 << 50;

/// An effect and how much single windows or items vary about it, in one unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// The observed effect: a difference of proportions, or the logarithm of a ratio.
    pub estimate: f64,
    /// Standard deviation of one window or item: that of a mean of n is `spread / sqrt(n)`.
    pub spread: f64,
}

impl Effect {
    /// A difference of paired proportions, with half an item added to both discordant counts, so that items
    /// which all agree still leave something open.
    ///
    /// # Errors
    /// [`StatisticsError::Empty`] when there are no items.
    pub fn of_counts(counts: PairedCounts) -> Result<Effect, StatisticsError> {
        let n = counts.items() as f64;
        if counts.items() == 0 {
            return Err(StatisticsError::Empty { what: "set of items" });
        }
        let (b, c) = (counts.only_first as f64, counts.only_second as f64);
        let (discordant, difference) = ((b + c + 1.0) / (n + 1.0), (b - c) / (n + 1.0));
        let spread = (discordant - difference * difference).max(0.0).sqrt();
        Ok(Effect { estimate: (b - c) / n, spread })
    }
}

/// A test of equivalence that is planned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EquivalencePlan {
    /// The margin on both sides of 0, in the unit of the effect.
    pub margin: f64,
    /// The level of each one-sided test.
    pub alpha: f64,
}

impl EquivalencePlan {
    fn check(&self) -> Result<Normal, StatisticsError> {
        let is_positive = self.margin > 0.0 && self.margin.is_finite();
        check_range("margin", self.margin, "a positive number", is_positive)?;
        let is_level = self.alpha > 0.0 && self.alpha < 0.5;
        check_range("alpha", self.alpha, "above 0 and below 0.5", is_level)?;
        Ok(Normal::standard())
    }

    /// Chance that equivalence is shown on `n` new windows or items, given what `seen` of them came to:
    ///
    /// ```text
    /// Φ((m - z·f - δ)/s) - Φ((z·f - m - δ)/s),   f² = σ²/n,  s² = f² + σ²/seen,  z = z(1-α)
    /// ```
    ///
    /// The predictive power under a flat prior, by normal approximation: O'Hagan, Stevens & Campbell 2005,
    /// "Assurance in clinical trial design", Pharmaceutical Statistics 4, 187–201. `seen` of `None` takes the
    /// observed effect for the true one, and gives the plain power.
    ///
    /// # Errors
    /// [`StatisticsError::OutOfRange`] unless `margin > 0` and `0 < alpha < 0.5`,
    /// [`StatisticsError::Empty`] for no items, [`StatisticsError::NotFinite`] for an effect that is no number.
    pub fn assurance(
        &self,
        effect: Effect,
        n: u64,
        seen: Option<u64>,
    ) -> Result<f64, StatisticsError> {
        let normal = self.check()?;
        crate::error::check_finite("effect", [effect.estimate, effect.spread])?;
        if n == 0 || seen == Some(0) {
            return Err(StatisticsError::Empty { what: "set of items" });
        }
        let of_test = effect.spread / (n as f64).sqrt();
        let of_seen = seen.map_or(0.0, |seen| effect.spread / (seen as f64).sqrt());
        let room = self.margin - normal.inverse_cdf(1.0 - self.alpha) * of_test;
        if room <= 0.0 {
            return Ok(0.0);
        }
        let spread = of_test.hypot(of_seen);
        if spread == 0.0 {
            return Ok(if effect.estimate.abs() < room { 1.0 } else { 0.0 });
        }
        let upper = normal.cdf((room - effect.estimate) / spread);
        Ok((upper - normal.cdf((-room - effect.estimate) / spread)).max(0.0))
    }

    /// How many windows or items show equivalence with a probability of `power` where the observed effect is
    /// the true one, by the normal approximation of [`EquivalencePlan::assurance`]; `Ok(None)` where the
    /// effect is not within the margin, so that no number does.
    ///
    /// # Errors
    /// As there, and unless `0 < power < 1`.
    pub fn needed(&self, effect: Effect, power: f64) -> Result<Option<u64>, StatisticsError> {
        check_range("power", power, "above 0 and below 1", power > 0.0 && power < 1.0)?;
        let reaches = |n: u64| Ok::<_, StatisticsError>(self.assurance(effect, n, None)? >= power);
        let (mut few, mut enough) = (0, 1);
        while !reaches(enough)? {
            if enough >= MOST || effect.estimate.abs() >= self.margin {
                return Ok(None);
            }
            (few, enough) = (enough, 2 * enough);
        }
        while enough - few > 1 {
            let middle = few.midpoint(enough);
            if reaches(middle)? { enough = middle } else { few = middle }
        }
        Ok(Some(enough))
    }
}

/// The fewest items on which the exact test can show two proportions equal within `margin` at all, were they
/// to agree on every one: the least n with `(1 - margin)ⁿ ≤ α`.
///
/// # Errors
/// [`StatisticsError::OutOfRange`] unless `0 < margin < 1` and `0 < alpha < 0.5`.
pub fn least_items(margin: f64, alpha: f64) -> Result<u64, StatisticsError> {
    EquivalencePlan { margin, alpha }.check()?;
    check_range("margin", margin, "below 1", margin < 1.0)?;
    Ok((alpha.ln() / (-margin).ln_1p()).ceil() as u64)
}
