//! Persistence of the state: what dropping a channel for some windows does, by how long it remembers.

use evidence::Quantity;
use evidence::joined::{Ablation, Site};
use serde::Serialize;

use super::correlations;
use super::similarity::{Measure, Similarity};

/// Ends of the bins of half-life, in units of the W tokens for which a channel is dropped at a time.
const BIN_ENDS: [f64; 3] = [0.25, 1.0, 4.0];

/// What is measured by dropping a channel.
const ABLATIONS: [Quantity; 3] =
    [Quantity::Ablation, Quantity::AblationRead, Quantity::AblationWrite];

/// Channels of like half-life.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bin {
    /// Shortest half-life, in tokens.
    pub from: f64,
    /// End of the bin; none for the last.
    pub below: Option<f64>,
    /// How many there are.
    pub n_channels: usize,
    /// Mean half-life, in tokens.
    pub half_life: f64,
    /// Mean rise of the mean NLL when one is dropped for ever.
    pub ablation: Option<f64>,
    /// The same in every other window in `read` mode.
    pub ablation_read: Option<f64>,
    /// The same in `write` mode.
    pub ablation_write: Option<f64>,
    /// The mean rise in `write` mode over that in `read` mode; none unless both are positive.
    pub write_over_read: Option<f64>,
}

/// What dropping channels does, by half-life.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Persistence {
    /// Tokens W for which a channel is dropped at a time.
    pub dropped_tokens: usize,
    /// By half-life; bins without channels are absent.
    pub bins: Vec<Bin>,
    /// Spearman of half-life with each rise, site by site.
    pub correlations: Vec<Similarity>,
}

/// A channel that was dropped: its half-life and the rises that there are.
type Channel = (f64, [Option<f64>; 3]);

/// The table of one ablation; none without half-lives of its channels.
pub(super) fn by_half_life(ablation: &Ablation) -> Option<Persistence> {
    let Ablation { dropped_tokens, sites } = ablation;
    let channels = channels(sites);
    if channels.is_empty() {
        return None;
    }
    let ends: Vec<f64> = BIN_ENDS.iter().map(|end| end * *dropped_tokens as f64).collect();
    let froms = [0.0].into_iter().chain(ends.iter().copied());
    let belows = ends.iter().copied().map(Some).chain([None]);
    let bins = froms.zip(belows).filter_map(|(from, below)| bin(&channels, from, below));
    let correlations = ABLATIONS.map(|quantity| with_half_life(sites, quantity));
    Some(Persistence {
        dropped_tokens: *dropped_tokens,
        bins: bins.collect(),
        correlations: correlations.into(),
    })
}

fn with_half_life(sites: &[Site], quantity: Quantity) -> Similarity {
    let at_site = |site: &Site| {
        let (half_lives, rises) = site.both(Quantity::HalfLife, quantity);
        correlations::at_site(site, Measure::Spearman, &half_lives, &rises)
    };
    let pair = (Quantity::HalfLife, quantity);
    Similarity::over_sites(pair, Measure::Spearman, None, sites.iter().map(at_site).collect())
}

fn channels(sites: &[Site]) -> Vec<Channel> {
    let mut channels = Vec::new();
    for site in sites {
        let value = |quantity: Quantity, place: usize| site.values(quantity)?[place];
        for place in 0..site.places.len() {
            let rises = ABLATIONS.map(|quantity| value(quantity, place));
            if let Some(half_life) = value(Quantity::HalfLife, place)
                && rises.iter().any(Option::is_some)
            {
                channels.push((half_life, rises));
            }
        }
    }
    channels
}

fn bin(channels: &[Channel], from: f64, below: Option<f64>) -> Option<Bin> {
    let is_in = |half_life: f64| half_life >= from && below.is_none_or(|end| half_life < end);
    let members: Vec<&Channel> = channels.iter().filter(|channel| is_in(channel.0)).collect();
    let half_life = mean(members.iter().map(|channel| channel.0))?;
    let [ablation, ablation_read, ablation_write] =
        [0, 1, 2].map(|index| mean(members.iter().filter_map(|channel| channel.1[index])));
    let write_over_read = ablation_read
        .zip(ablation_write)
        .filter(|(read, write)| *read > 0.0 && *write > 0.0)
        .map(|(read, write)| write / read)
        .filter(|ratio| ratio.is_finite());
    Some(Bin {
        from,
        below,
        n_channels: members.len(),
        half_life,
        ablation,
        ablation_read,
        ablation_write,
        write_over_read,
    })
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
