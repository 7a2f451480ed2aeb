//! What can be wrong with the numbers a caller hands in.

use thiserror::Error;

/// A quantity that was asked for but does not exist, or an argument outside its range.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum StatisticsError {
    /// There is nothing to compute from.
    #[error("{what} is empty: there is no value for zero observations")]
    Empty {
        /// The empty argument.
        what: &'static str,
    },
    /// More observations are needed for this quantity to exist.
    #[error("{what} needs at least {needed} observations, got {got}")]
    TooFew {
        /// The quantity asked for.
        what: &'static str,
        /// Smallest number of observations that would do.
        needed: usize,
        /// Number of observations given.
        got: usize,
    },
    /// All numbers of a list are the same, so that they do not vary with anything.
    #[error("{what} is constant: it has no correlation")]
    Constant {
        /// The list.
        what: &'static str,
    },
    /// The bootstrap's correction for bias and skew cannot be computed from these resamples.
    #[error("there is no BCa interval: {why}; use the percentile interval")]
    NoBca {
        /// What is missing.
        why: &'static str,
    },
    /// An argument is outside its range.
    #[error("{what} is {value}, expected {expected}")]
    OutOfRange {
        /// The argument.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The range in words.
        expected: &'static str,
    },
    /// A count of successes is larger than its number of trials.
    #[error("{successes} successes in {trials} trials: successes cannot exceed trials")]
    MoreSuccessesThanTrials {
        /// Number of successes.
        successes: u64,
        /// Number of trials.
        trials: u64,
    },
    /// Two paired samples have different lengths.
    #[error("paired samples have {first} and {second} observations; pair them before comparing")]
    UnequalLengths {
        /// Observations in the first sample.
        first: usize,
        /// Observations in the second sample.
        second: usize,
    },
    /// A pair of windows counts different targets, so the two losses are not of the same text.
    #[error("window {index} has {first} targets in one sample and {second} in the other")]
    UnequalTargets {
        /// Position of the pair.
        index: usize,
        /// Targets in the first sample's window.
        first: u32,
        /// Targets in the second sample's window.
        second: u32,
    },
    /// An observation is NaN or infinite.
    #[error("{what} at position {index} is {value}, expected a finite number")]
    NotFinite {
        /// The argument.
        what: &'static str,
        /// Position of the first bad value.
        index: usize,
        /// The bad value.
        value: f64,
    },
    /// The result does not fit into an f64.
    #[error("{what} overflows: e to the power of {exponent} is not a finite f64")]
    Overflow {
        /// The quantity asked for.
        what: &'static str,
        /// The exponent that is too large.
        exponent: f64,
    },
}

/// Refuses the first value of `values` that is not finite.
pub(crate) fn check_finite(
    what: &'static str,
    values: impl IntoIterator<Item = f64>,
) -> Result<(), StatisticsError> {
    match values.into_iter().enumerate().find(|(_, value)| !value.is_finite()) {
        Some((index, value)) => Err(StatisticsError::NotFinite { what, index, value }),
        None => Ok(()),
    }
}

/// `e^exponent`, refused when it is not a finite number.
pub(crate) fn checked_exp(what: &'static str, exponent: f64) -> Result<f64, StatisticsError> {
    let value = exponent.exp();
    if value.is_finite() { Ok(value) } else { Err(StatisticsError::Overflow { what, exponent }) }
}
