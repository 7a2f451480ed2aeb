//! Equivalence: "unchanged" is a claim that needs its own test, with a margin stated beforehand.
//!
//! Two one-sided tests (TOST) at level α reject "different by at least the margin" exactly when
//! the `1 - 2α` interval lies strictly inside the margins: Schuirmann 1987, J. Pharmacokinet.
//! Biopharm. 15, 657–680. The interval is the one that is reported anyway.

use crate::{
    ConfidenceLevel, Interval, PairedCounts, StatisticsError, newcombe_paired, newcombe_paired_p,
};

/// Where an interval lies to the margins on both sides of 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Margins {
    /// Strictly between them: equivalent.
    Within,
    /// Wholly beyond one of them: different by more than the margin.
    Beyond,
    /// On one of them: open.
    Across,
}

impl Margins {
    fn of(interval: Interval, margin: f64) -> Margins {
        if -margin < interval.lower && interval.upper < margin {
            Margins::Within
        } else if interval.upper < -margin || interval.lower > margin {
            Margins::Beyond
        } else {
            Margins::Across
        }
    }
}

/// Outcome of an equivalence test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Equivalence {
    /// The interval that decided.
    pub interval: Interval,
    /// Where it lies.
    pub margins: Margins,
    /// Where the estimate lies within the margins, that of the two one-sided tests: the larger p-value.
    /// Where it lies beyond, the two-sided p-value of the margin that it is beyond of.
    pub p: f64,
}

/// Is a difference within `margin`? `interval` is its interval, and `p_at` gives the two-sided p-value
/// of "the true difference is this".
///
/// # Errors
/// [`StatisticsError::OutOfRange`] unless `margin > 0`, and those of `p_at`.
pub fn equivalence(
    interval: Interval,
    margin: f64,
    p_at: impl Fn(f64) -> Result<f64, StatisticsError>,
) -> Result<Equivalence, StatisticsError> {
    if !(margin > 0.0 && margin.is_finite()) {
        let (what, expected) = ("margin", "a positive number");
        return Err(StatisticsError::OutOfRange { what, value: margin, expected });
    }
    let p = if interval.estimate.abs() < margin {
        let (above, below) = (p_at(margin)?, p_at(-margin)?);
        (if above > below { above } else { below }) / 2.0
    } else {
        p_at(margin.copysign(interval.estimate))?
    };
    Ok(Equivalence { interval, margins: Margins::of(interval, margin), p })
}

/// Are two policies equally accurate on the same items, within `margin` (a difference of
/// proportions, such as 0.03)? Interval and p-values are Newcombe's ([`newcombe_paired`]); at level α
/// the interval of `1 - 2α` decides.
///
/// # Errors
/// [`StatisticsError::OutOfRange`] unless `margin > 0`; [`StatisticsError::Empty`] when there are no
/// items.
pub fn equivalence_paired(
    counts: PairedCounts,
    margin: f64,
    level: ConfidenceLevel,
) -> Result<Equivalence, StatisticsError> {
    let interval = newcombe_paired(counts, level)?;
    equivalence(interval, margin, |difference| newcombe_paired_p(counts, difference))
}
