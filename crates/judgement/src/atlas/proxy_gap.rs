//! The proxy gap of the state: do the weights of a channel tell what it carries when the model runs?

use evidence::Quantity;
use evidence::joined::Joined;
use serde::Serialize;
use statistics::pearson;

use super::agreement::kept;

/// Share of all channels that counts as small or low, by rank.
const SPARSITY: f64 = 0.5;

/// `state-weight` against the mean of H², over all channels of all layers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProxyGap {
    /// Channels of all layers.
    pub n_channels: usize,
    /// Correlation of the two, standardised over all channels of all layers (which leaves Pearson's
    /// correlation as it is); none where one of them is constant.
    pub pearson: Option<f64>,
    /// Share that counts as small or low.
    pub sparsity: f64,
    /// Share of channels with small weight and high energy, by rank. Both sets keep as many channels, so
    /// it equals `corporeal`.
    pub phantom: f64,
    /// Share of channels with large weight and low energy.
    pub corporeal: f64,
}

impl ProxyGap {
    /// Share of channels on which the two ranks disagree.
    pub fn disagreement(&self) -> f64 {
        self.phantom + self.corporeal
    }
}

/// The gap; none without both quantities.
pub(super) fn proxy_gap(joined: &Joined) -> Option<ProxyGap> {
    let (weights, energies): (Vec<f64>, Vec<f64>) = joined
        .sites
        .iter()
        .map(|site| site.both(Quantity::StateWeight, Quantity::StateEnergy))
        .fold(
            Default::default(),
            |(mut weights, mut energies): (Vec<_>, Vec<_>), (first, second)| {
                weights.extend(first);
                energies.extend(second);
                (weights, energies)
            },
        );
    let n_channels = weights.len();
    if n_channels == 0 {
        return None;
    }
    let (large, high) = (kept(&weights, SPARSITY), kept(&energies, SPARSITY));
    let share = |is_large: bool, is_high: bool| {
        let sets = large.iter().zip(&high);
        let n = sets.filter(|sets| *sets == (&is_large, &is_high)).count();
        n as f64 / n_channels as f64
    };
    Some(ProxyGap {
        n_channels,
        pearson: pearson(&weights, &energies).ok(),
        sparsity: SPARSITY,
        phantom: share(false, true),
        corporeal: share(true, false),
    })
}
