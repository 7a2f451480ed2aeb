//! A threshold that a probability is held against: compared, ordered and hashed exactly.

use std::fmt;

use crate::shortest_decimal;

/// Parts of one that a threshold counts: 12 decimals, which every JSON reader keeps.
const WHOLE: u64 = 1_000_000_000_000;

/// A threshold, 0 < τ ≤ 1, of at most 12 decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Threshold(u64);

impl Threshold {
    /// Checks a number; none outside `0 < value ≤ 1`, of NaN, and of more than 12 decimals.
    pub fn new(value: f64) -> Option<Threshold> {
        if !(value > 0.0 && value <= 1.0) {
            return None;
        }
        let threshold = Threshold((value * WHOLE as f64).round() as u64);
        // A number of 12 decimals is the nearest one to its text; any other would not come back.
        (threshold.get() == value).then_some(threshold)
    }

    /// The number nearest to its decimals.
    pub fn get(self) -> f64 {
        // Both are whole numbers below 2^53, so the quotient is the correctly rounded one.
        self.0 as f64 / WHOLE as f64
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shortest_decimal(self.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_exact_and_refuse_what_they_cannot_hold() {
        for text in ["1", "0.5", "0.95", "0.333333333333", "0.000000000001"] {
            assert_eq!(Threshold::new(text.parse().unwrap()).unwrap().to_string(), text);
        }
        for outside in [0.0, -0.0, -0.5, 1.000_000_1, f64::NAN, f64::INFINITY, 1.0 / 3.0] {
            assert_eq!(Threshold::new(outside), None, "{outside}");
        }
        assert!(Threshold::new(0.9) < Threshold::new(0.95));
    }
}
