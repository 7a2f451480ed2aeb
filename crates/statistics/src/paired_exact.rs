//! The exact test of a difference of two paired proportions: its level holds whatever the discordant share.

use statrs::distribution::{Binomial, Discrete, DiscreteCDF};

use crate::power::check_range;
use crate::tango::score;
use crate::{PairedCounts, StatisticsError};

/// Values of the unknown share that are tried, before the best of them is refined.
const GRID: usize = 64;
/// Steps of the refinement, each of which leaves 0.62 of the stretch.
const REFINEMENTS: usize = 24;
/// Probabilities below it are not added up.
const NEGLIGIBLE: f64 = 1e-18;

/// One-sided p-value of "the true difference `p_first - p_second` is at most `difference`", large counts of
/// `only_first` being evidence against it.
///
/// The unconditional test that orders tables by Tango's statistic T ([`tango_z`](crate::tango_z)):
///
/// ```text
/// p = max over q of P( T(b, c; δ) ≥ T(observed; δ) ),   b, c of a trinomial with shares q + δ and q
/// ```
///
/// q, the share of items that only the second gets right, is not known, and the worst is taken: Hsueh, Liu &
/// Chen 2001, "Unconditional exact tests for equivalence or noninferiority for paired binary endpoints",
/// Biometrics 57, 478–483. T grows with b and falls with c, so that the largest probability over all smaller
/// differences is that at δ itself. The maximum is looked for on a grid and refined, which finds it to some
/// six digits.
///
/// # Errors
/// [`StatisticsError::Empty`] when there are no items; [`StatisticsError::OutOfRange`] unless
/// `-1 < difference < 1`.
pub fn paired_exact_p(counts: PairedCounts, difference: f64) -> Result<f64, StatisticsError> {
    let is_fine = difference > -1.0 && difference < 1.0;
    check_range("difference of proportions", difference, "a number between -1 and 1", is_fine)?;
    let n = counts.items();
    if n == 0 {
        return Err(StatisticsError::Empty { what: "set of items" });
    }
    let region = Region::of(counts, difference);
    let (least, most) = ((-difference).max(0.0), (1.0 - difference) / 2.0);
    // Denser near the end where items that are discordant are few.
    let share = |step: f64| least + (most - least) * (step / GRID as f64).powi(2);
    let of = |step: f64| region.probability(share(step));
    let tried: Vec<f64> = (0..=GRID).map(|step| of(step as f64)).collect();
    let best = (0..=GRID).fold(0, |best, step| if tried[step] > tried[best] { step } else { best });
    let (from, to) = (best.saturating_sub(1) as f64, (best + 1).min(GRID) as f64);
    Ok(refined(from, to, of).max(tried[best]).min(1.0))
}

/// The largest value between two ends by golden sections.
fn refined(mut from: f64, mut to: f64, of: impl Fn(f64) -> f64) -> f64 {
    let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut left, mut right) = (to - ratio * (to - from), from + ratio * (to - from));
    let (mut at_left, mut at_right) = (of(left), of(right));
    for _ in 0..REFINEMENTS {
        if at_left > at_right {
            (to, right, at_right) = (right, left, at_left);
            left = to - ratio * (to - from);
            at_left = of(left);
        } else {
            (from, left, at_left) = (left, right, at_right);
            right = from + ratio * (to - from);
            at_right = of(right);
        }
    }
    at_left.max(at_right)
}

/// The tables that are at least as far out as the observed one.
struct Region {
    n: u64,
    difference: f64,
    /// Of every count of `only_second` the least of `only_first`; none where no table is far enough.
    least_first: Vec<Option<u64>>,
}

impl Region {
    fn of(counts: PairedCounts, difference: f64) -> Self {
        let n = counts.items();
        let of = |b: u64, c: u64| score(b as f64, c as f64, n as f64, difference);
        let observed = of(counts.only_first, counts.only_second);
        // Tables that are as far out may differ by a rounding.
        let bound = observed - 1e-9 * observed.abs().max(1.0);
        let least_first = |c: u64| {
            let (mut least, mut enough) = (0, n - c);
            if of(enough, c) < bound {
                return None;
            }
            while least < enough {
                let middle = least.midpoint(enough);
                if of(middle, c) >= bound { enough = middle } else { least = middle + 1 }
            }
            Some(enough)
        };
        Region { n, difference, least_first: (0..=n).map(least_first).collect() }
    }

    /// Its probability where only the second is right of a share `q` of items.
    fn probability(&self, q: f64) -> f64 {
        let first = (q + self.difference).clamp(0.0, 1.0 - q);
        let Ok(of_second) = Binomial::new(q.clamp(0.0, 1.0), self.n) else { return 1.0 };
        let given = if q < 1.0 { (first / (1.0 - q)).clamp(0.0, 1.0) } else { 0.0 };
        let mut sum = 0.0;
        for (c, least) in (0..).zip(&self.least_first) {
            let Some(least) = *least else { continue };
            let mass = of_second.pmf(c);
            if mass < NEGLIGIBLE {
                continue;
            }
            sum += mass * at_least(least, self.n - c, given);
        }
        sum
    }
}

/// Probability of at least `least` of `n`.
fn at_least(least: u64, n: u64, share: f64) -> f64 {
    if least == 0 {
        return 1.0;
    }
    Binomial::new(share, n).map_or(1.0, |counts| counts.sf(least - 1))
}
