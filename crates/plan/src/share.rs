//! A share of a whole: compared, ordered and hashed exactly.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::shortest_decimal;

/// Parts of a whole that a share counts: 12 decimals, which every JSON reader keeps.
const WHOLE: u64 = 1_000_000_000_000;

/// A share, 0 ≤ s < 1, of at most 12 decimals.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(into = "f64", try_from = "f64")]
pub struct Share(u64);

/// Why a number is no share.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ShareError {
    /// Outside its range, or no number.
    #[error("{0} is outside 0 <= share < 1")]
    Range(f64),
    /// More digits than every JSON reader keeps.
    #[error("{0} has more than 12 decimals: write it shorter")]
    Digits(f64),
}

impl Share {
    /// Nothing.
    pub const ZERO: Share = Share(0);

    /// Checks a number.
    ///
    /// # Errors
    /// [`ShareError`]: outside `0 ≤ value < 1`, NaN, or more than 12 decimals.
    pub fn new(value: f64) -> Result<Share, ShareError> {
        if !(0.0..1.0).contains(&value) {
            return Err(ShareError::Range(value));
        }
        let share = Share((value * WHOLE as f64).round() as u64);
        // A number of 12 decimals is the nearest one to its text; any other would not come back.
        if share.get() == value { Ok(share) } else { Err(ShareError::Digits(value)) }
    }

    /// The share nearest to a number, such as one that [`Share::get`] gave; NaN is as nothing.
    pub fn nearest(value: f64) -> Share {
        // A number that is too large or negative is brought to the nearest end by `as`.
        Share(((value * WHOLE as f64).round() as u64).min(WHOLE - 1))
    }

    /// The number nearest to its decimals.
    pub fn get(self) -> f64 {
        // Both are whole numbers below 2^53, so the quotient is the correctly rounded one.
        self.0 as f64 / WHOLE as f64
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shortest_decimal(self.get()))
    }
}

impl From<Share> for f64 {
    fn from(share: Share) -> f64 {
        share.get()
    }
}

impl TryFrom<f64> for Share {
    type Error = ShareError;

    fn try_from(value: f64) -> Result<Share, ShareError> {
        Share::new(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_exact_and_refuse_what_they_cannot_hold() {
        for text in ["0", "0.5", "0.9", "0.95", "0.1", "0.333333333333", "0.000000000001"] {
            let share = Share::new(text.parse().unwrap()).unwrap();
            assert_eq!(share.to_string(), text);
            let json = serde_json::to_string(&share).unwrap();
            assert_eq!(serde_json::from_str::<Share>(&json).unwrap(), share);
        }
        assert_eq!(Share::new(-0.0).unwrap(), Share::ZERO);
        for outside in [1.0, -0.1, f64::NAN, f64::INFINITY] {
            assert!(matches!(Share::new(outside), Err(ShareError::Range(_))), "{outside}");
        }
        assert_eq!(Share::new(1.0 / 3.0), Err(ShareError::Digits(1.0 / 3.0)));
        assert!(Share::new(0.5).unwrap() < Share::new(0.75).unwrap());
        for (value, nearest) in [(0.95, 0.95), (-0.0, 0.0), (-1.0, 0.0), (f64::NAN, 0.0)] {
            assert_eq!(Share::nearest(value), Share::new(nearest).unwrap(), "{value}");
        }
        assert_eq!(Share::nearest(1.0 / 3.0).to_string(), "0.333333333333");
        assert_eq!(Share::nearest(2.0).to_string(), "0.999999999999");
    }
}
