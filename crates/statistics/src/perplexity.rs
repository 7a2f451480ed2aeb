//! Perplexity from per-window sums, and from per-word log-probabilities.

use crate::StatisticsError;
use crate::error::{check_finite, checked_exp};

/// The summed loss of one window of text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowLoss {
    /// Negative log-likelihood summed over the window's targets, in nats.
    pub nll_nats: f64,
    /// Number of predicted tokens.
    pub n_targets: u32,
}

/// Mean loss per target in nats: `ΣNLL / Σtargets`, so that a longer window weighs more.
///
/// # Errors
/// [`StatisticsError::Empty`] without windows or without targets,
/// [`StatisticsError::NotFinite`] for a NaN or infinite loss.
pub fn mean_nll_nats(windows: &[WindowLoss]) -> Result<f64, StatisticsError> {
    check_finite("window loss", windows.iter().map(|window| window.nll_nats))?;
    let targets: u64 = windows.iter().map(|window| u64::from(window.n_targets)).sum();
    if targets == 0 {
        return Err(StatisticsError::Empty { what: "set of target tokens" });
    }
    let nll: f64 = windows.iter().map(|window| window.nll_nats).sum();
    Ok(nll / targets as f64)
}

/// Perplexity per token: `exp(ΣNLL / Σtargets)`.
///
/// # Errors
/// As [`mean_nll_nats`], and [`StatisticsError::Overflow`] above about 709 nats per target.
pub fn perplexity(windows: &[WindowLoss]) -> Result<f64, StatisticsError> {
    checked_exp("perplexity", mean_nll_nats(windows)?)
}

/// Perplexity of `treated` divided by that of `baseline` on the same windows:
/// `exp(Σ(NLL_treated - NLL_baseline) / Σtargets)`.
///
/// # Errors
/// [`StatisticsError::UnequalLengths`] or [`StatisticsError::UnequalTargets`] when position i of
/// both is not the same window; otherwise as [`perplexity`].
pub fn perplexity_ratio(
    baseline: &[WindowLoss],
    treated: &[WindowLoss],
) -> Result<f64, StatisticsError> {
    perplexity(&paired_differences(baseline, treated)?)
}

/// Word perplexity: `exp(-mean log-probability)`, one log-probability (nats) a word.
///
/// # Errors
/// [`StatisticsError::Empty`], [`StatisticsError::NotFinite`] or [`StatisticsError::Overflow`].
pub fn word_perplexity(word_logprobs_nats: &[f64]) -> Result<f64, StatisticsError> {
    if word_logprobs_nats.is_empty() {
        return Err(StatisticsError::Empty { what: "set of words" });
    }
    check_finite("word log-probability", word_logprobs_nats.iter().copied())?;
    let sum: f64 = word_logprobs_nats.iter().sum();
    checked_exp("word perplexity", -sum / word_logprobs_nats.len() as f64)
}

/// Per window, how many nats `treated` loses more than `baseline`.
pub(crate) fn paired_differences(
    baseline: &[WindowLoss],
    treated: &[WindowLoss],
) -> Result<Vec<WindowLoss>, StatisticsError> {
    if baseline.len() != treated.len() {
        let (first, second) = (baseline.len(), treated.len());
        return Err(StatisticsError::UnequalLengths { first, second });
    }
    let pairs = baseline.iter().zip(treated).enumerate();
    pairs
        .map(|(index, (base, treat))| {
            if base.n_targets == treat.n_targets {
                let nll_nats = treat.nll_nats - base.nll_nats;
                Ok(WindowLoss { nll_nats, n_targets: base.n_targets })
            } else {
                let (first, second) = (base.n_targets, treat.n_targets);
                Err(StatisticsError::UnequalTargets { index, first, second })
            }
        })
        .collect()
}
