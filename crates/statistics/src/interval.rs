//! An interval with its estimate, and the confidence level it was made for.

use statrs::distribution::{ContinuousCDF, Normal};

use crate::StatisticsError;

/// An estimate between two limits, all in the unit of the estimate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower limit.
    pub lower: f64,
    /// Point estimate.
    pub estimate: f64,
    /// Upper limit.
    pub upper: f64,
}

impl Interval {
    /// Whether `value` lies between the limits, limits included.
    pub fn contains(&self, value: f64) -> bool {
        self.lower <= value && value <= self.upper
    }
}

/// A confidence level strictly between 0 and 1, such as 0.95.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct ConfidenceLevel(f64);

impl ConfidenceLevel {
    /// Ninety-five percent.
    pub const P95: Self = Self(0.95);

    /// A level strictly between 0 and 1.
    ///
    /// # Errors
    /// [`StatisticsError::OutOfRange`] for anything else, NaN included.
    pub fn new(level: f64) -> Result<Self, StatisticsError> {
        if level > 0.0 && level < 1.0 {
            Ok(Self(level))
        } else {
            Err(StatisticsError::OutOfRange {
                what: "confidence level",
                value: level,
                expected: "a number strictly between 0 and 1",
            })
        }
    }

    /// The level as a fraction.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Probability left in each tail: `(1 - level) / 2`.
    pub fn tail(self) -> f64 {
        (1.0 - self.0) / 2.0
    }

    /// Two-sided critical value of the standard normal distribution: 1.96 at 95 %.
    pub fn critical_z(self) -> f64 {
        -Normal::standard().inverse_cdf(self.tail())
    }
}
