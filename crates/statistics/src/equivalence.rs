//! Equivalence: "unchanged" is a claim that needs its own test, with a margin stated beforehand.
//!
//! Two one-sided tests (TOST) at level α reject "different by at least the margin" exactly when
//! the `1 - 2α` interval lies strictly inside the margins: Schuirmann 1987, J. Pharmacokinet.
//! Biopharm. 15, 657–680. The interval is the one that is reported anyway.

use crate::{
    BootstrapPlan, ConfidenceLevel, Interval, PairedCounts, StatisticsError, WindowLoss,
    newcombe_paired, perplexity_ratio_interval,
};

/// Outcome of an equivalence test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Equivalence {
    /// The interval at level `1 - 2α` that decided.
    pub interval: Interval,
    /// Whether the whole interval lies strictly inside the margins.
    pub equivalent: bool,
}

/// Are two policies equally accurate on the same items, within `margin` (a difference of
/// proportions, such as 0.03)? TOST at level `alpha` through [`newcombe_paired`].
///
/// # Errors
/// [`StatisticsError::OutOfRange`] unless `0 < alpha < 0.5` and `margin > 0`;
/// [`StatisticsError::Empty`] when there are no items.
pub fn equivalence_paired(
    counts: PairedCounts,
    margin: f64,
    alpha: f64,
) -> Result<Equivalence, StatisticsError> {
    check_positive("margin", margin)?;
    let interval = newcombe_paired(counts, tost_level(alpha)?)?;
    Ok(Equivalence { interval, equivalent: -margin < interval.lower && interval.upper < margin })
}

/// Is the perplexity ratio within `1/factor` and `factor` (such as 1.02)? TOST at level `alpha`
/// through [`perplexity_ratio_interval`]; the level inside `plan` is replaced by `1 - 2·alpha`.
///
/// # Errors
/// [`StatisticsError::OutOfRange`] unless `0 < alpha < 0.5` and `factor > 1`; otherwise those of
/// [`perplexity_ratio_interval`].
pub fn equivalence_perplexity_ratio(
    baseline: &[WindowLoss],
    treated: &[WindowLoss],
    factor: f64,
    alpha: f64,
    plan: BootstrapPlan,
) -> Result<Equivalence, StatisticsError> {
    check_positive("margin factor minus 1", factor - 1.0)?;
    let plan = BootstrapPlan { level: tost_level(alpha)?, ..plan };
    let interval = perplexity_ratio_interval(baseline, treated, plan)?;
    Ok(Equivalence {
        interval,
        equivalent: 1.0 / factor < interval.lower && interval.upper < factor,
    })
}

fn tost_level(alpha: f64) -> Result<ConfidenceLevel, StatisticsError> {
    if alpha > 0.0 && alpha < 0.5 {
        ConfidenceLevel::new(1.0 - 2.0 * alpha)
    } else {
        let expected = "a number strictly between 0 and 0.5";
        Err(StatisticsError::OutOfRange { what: "alpha", value: alpha, expected })
    }
}

fn check_positive(what: &'static str, value: f64) -> Result<(), StatisticsError> {
    if value > 0.0 && value.is_finite() {
        Ok(())
    } else {
        Err(StatisticsError::OutOfRange { what, value, expected: "a positive number" })
    }
}
