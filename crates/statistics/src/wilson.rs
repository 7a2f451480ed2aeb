//! Wilson's score interval of one proportion.

use crate::{ConfidenceLevel, Interval, Proportion};

/// Score interval of a proportion, without continuity correction.
///
/// With `p = x/n` and `z` the two-sided critical value, the limits are
///
/// ```text
/// ( p + z²/2n ± z·sqrt( p(1-p)/n + z²/4n² ) ) / ( 1 + z²/n )
/// ```
///
/// Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22.
/// The lower limit of no successes is exactly 0 and the upper limit of all successes exactly 1.
pub fn wilson(proportion: Proportion, level: ConfidenceLevel) -> Interval {
    let z = level.critical_z();
    let n = proportion.trials() as f64;
    let p = proportion.value();
    let z2_over_n = z * z / n;
    let centre = p + z2_over_n / 2.0;
    let half = z * (p * (1.0 - p) / n + z2_over_n / (4.0 * n)).sqrt();
    let scale = 1.0 + z2_over_n;
    let none = proportion.successes() == 0;
    let all = proportion.successes() == proportion.trials();
    let lower = if none { 0.0 } else { ((centre - half) / scale).max(0.0) };
    let upper = if all { 1.0 } else { ((centre + half) / scale).min(1.0) };
    Interval { lower, estimate: p, upper }
}
