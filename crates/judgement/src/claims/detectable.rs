//! What so much data would have found: said beside every verdict that is left open.

use statistics::{
    WindowLoss, minimum_detectable_difference_paired, minimum_detectable_ratio_paired,
    ratio_spread_nats,
};

use super::verdict::Distance;
use crate::accuracy::POWER;

/// What a minimum detectable effect is worked out from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Detectable {
    /// Paired windows and the spread of their differences, nats a target.
    Ratio { windows: u64, spread_nats: f64 },
    /// Paired items and the share on which the two differ.
    Points { items: u64, discordant_share: f64 },
    /// Sites and the spread of their differences.
    Correlation { sites: u64, spread: f64 },
}

impl Detectable {
    /// Of the ratio of two cells on the same windows.
    pub(super) fn ratio(base: &[WindowLoss], treated: &[WindowLoss]) -> Option<Self> {
        let spread_nats = ratio_spread_nats(base, treated).ok()?;
        Some(Detectable::Ratio { windows: u64::try_from(base.len()).ok()?, spread_nats })
    }

    /// Of the mean of one difference a site.
    pub(super) fn correlation(differences: &[f64]) -> Option<Self> {
        let n = differences.len() as f64;
        let mean = differences.iter().sum::<f64>() / n;
        let squares: f64 = differences.iter().map(|value| (value - mean).powi(2)).sum();
        let sites = u64::try_from(differences.len()).ok()?;
        Some(Detectable::Correlation { sites, spread: (squares / (n - 1.0)).sqrt() })
    }

    /// The smallest distance from the threshold that is found with a power of 0.8 at this level.
    pub(super) fn distance(self, alpha: f64) -> Option<Distance> {
        Some(match self {
            Detectable::Ratio { windows, spread_nats } => {
                Distance::Factor(ratio(windows, spread_nats, alpha)?)
            }
            Detectable::Points { items, discordant_share } => {
                let least =
                    minimum_detectable_difference_paired(items, discordant_share, alpha, POWER);
                Distance::Share(least.ok()??)
            }
            // The logarithm of what a ratio's spread would find: the same formula without its exponent.
            Detectable::Correlation { sites, spread } => {
                Distance::Correlation(ratio(sites, spread, alpha)?.ln())
            }
        })
    }
}

fn ratio(n: u64, spread: f64, alpha: f64) -> Option<f64> {
    minimum_detectable_ratio_paired(n, spread, alpha, POWER).ok()?
}
