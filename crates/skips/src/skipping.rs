//! The executor that runs: the kept sets of the reference, and no work for what is dropped.

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

use importance::{Draw, Moments, Random, RankedBy, Score, SiteWeights};
use models::{Executor, ExecutorError, FfnSite, Tensor, Values, into_values, matrix};
use rayon::prelude::*;
use sparse::{
    KeptGroups, RowShares, kept_count, kept_energies, project_kept, row_shares, select_top,
};

use crate::{Measuring, Selection, Shares, Windowed, commitment::Source, shares::Tally};

/// Tokens whose sets one task chooses when every token has its own.
const TOKENS_PER_TASK: usize = 16;
/// Above this share of kept neurons the dense product of the masked h is faster than gathering rows.
const DENSE_ABOVE: f64 = 0.6;

/// Chooses the kept sets of all windows and multiplies only what is kept.
///
/// A clone is an executor of its own that shares the selection and what was read of the weights: one
/// clone a thread.
pub struct Skipping {
    shared: Arc<Shared>,
    tally: Tally,
}

struct Shared {
    selection: Selection,
    /// What is needed of the weights, by site, read when a site is first met.
    sites: Vec<OnceLock<Site>>,
}

struct Site {
    /// Lengths of the outgoing weights.
    weights: SiteWeights,
    /// The down projection, row by row; read when a kept set is small enough to use it.
    down: OnceLock<Vec<f32>>,
}

impl Clone for Skipping {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), tally: Tally::default() }
    }
}

impl Skipping {
    /// Runs a model of `sites` feed-forward blocks with these kept sets. An executor serves one model.
    pub fn new(selection: Selection, sites: usize) -> Self {
        let sites = (0..sites).map(|_| OnceLock::new()).collect();
        Self { shared: Arc::new(Shared { selection, sites }), tally: Tally::default() }
    }
}

impl Shared {
    /// What is known of a site; refuses a block of another size than at the first meeting.
    fn site(&self, site: &FfnSite<'_>) -> Result<&Site, ExecutorError> {
        let read = || Site { weights: SiteWeights::of(site.ffn), down: OnceLock::new() };
        let found = site.ffn.neurons();
        let refuse = |expected| ExecutorError::SiteMismatch { site: site.index, expected, found };
        let known = self.sites.get(site.index).ok_or_else(|| refuse(0))?.get_or_init(read);
        let expected = known.weights.l2.len();
        if expected == found { Ok(known) } else { Err(refuse(expected)) }
    }

    /// Kept sets of every token of the batch; `None` where all neurons are kept.
    fn kept(&self, known: &Site, site: &FfnSite<'_>, h: &[f32]) -> Option<KeptGroups> {
        let neurons = site.ffn.neurons();
        match &self.selection {
            Selection::All => None,
            Selection::Static(sets) => {
                let set = &sets[site.index];
                let mut groups = KeptGroups::new(set.len());
                groups.push(site.batch.n_tokens(), set);
                (set.len() < neurons).then_some(groups)
            }
            Selection::Windowed(windowed) => {
                let k = kept_count(neurons, windowed.sparsity);
                (k < neurons).then(|| windowed_groups(windowed, known, site, h, k))
            }
        }
    }
}

impl Skipping {
    fn measure(
        &mut self,
        site: &FfnSite<'_>,
        h: &[f32],
        rows: &[RowShares],
        kept: Option<&KeptGroups>,
    ) {
        self.tally.meet(site.index, site.batch);
        let neurons = site.ffn.neurons();
        let kept_energies = kept.map(|kept| kept_energies(h, kept, neurons));
        let k = kept.map_or(neurons, KeptGroups::k) as u64;
        for (shares, sequence) in self.tally.sequences.iter_mut().zip(site.batch.sequences()) {
            for row in sequence {
                shares.entries += neurons as u64;
                shares.kept += k;
                shares.zeros += u64::from(rows[row].zeros);
                shares.energy += rows[row].energy;
                shares.kept_energy +=
                    kept_energies.as_ref().map_or(rows[row].energy, |energies| energies[row]);
            }
        }
    }
}

/// The sets of a batch whose windows choose from activations.
fn windowed_groups(
    windowed: &Windowed,
    known: &Site,
    site: &FfnSite<'_>,
    h: &[f32],
    k: usize,
) -> KeptGroups {
    let dynamic = windowed.commitment.is_per_token();
    if let (true, Some(order)) = (dynamic, windowed.score.order_in_one_token()) {
        return token_groups(order, h, site.ffn.neurons(), k);
    }
    let windows = windows_of(windowed, site);
    let chooser = Chooser { windowed, site: site.index, weights: &known.weights, k };
    let sets: Vec<Vec<u32>> = windows
        .par_iter()
        .map_init(
            || (Moments::new(site.ffn.neurons()), Vec::new()),
            |(moments, keys), window| chooser.choose(window, h, moments, keys),
        )
        .collect();
    let mut groups = KeptGroups::new(k);
    for (window, set) in windows.iter().zip(&sets) {
        groups.push(window.tokens, set);
    }
    groups
}

impl Executor for Skipping {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        let shared = Arc::clone(&self.shared);
        let known = shared.site(site)?;
        let device = x.device();
        let neurons = site.ffn.neurons();
        let mut h = Values::of(site.ffn.hidden(x));
        let rows = row_shares(&h, neurons);
        check_finite(site, &h, &rows)?;
        let kept = shared.kept(known, site, &h);
        self.measure(site, &h, &rows, kept.as_ref());
        let Some(kept) = kept else { return Ok(site.ffn.project(h.into_tensor())) };
        if kept.k() as f64 > DENSE_ABOVE * neurons as f64 {
            zero_dropped(&mut h, &kept, neurons);
            return Ok(site.ffn.project(h.into_tensor()));
        }
        let d_model = site.ffn.down.widths().1;
        let down = known.down.get_or_init(|| into_values(site.ffn.down.weight.clone()));
        let y = project_kept(&h, &kept, down, d_model);
        let y = matrix(y, [site.batch.n_tokens(), d_model], &device);
        Ok(match &site.ffn.down.bias {
            Some(bias) => y + bias.clone().unsqueeze(),
            None => y,
        })
    }
}

impl Measuring for Skipping {
    fn take_shares(&mut self) -> Vec<Shares> {
        self.tally.take()
    }

    fn takes_pieces(&self) -> bool {
        match &self.shared.selection {
            Selection::All | Selection::Static(_) => true,
            // A score that is drawn hangs on the whole sequence.
            Selection::Windowed(windowed) => {
                let Windowed { commitment, score, .. } = windowed;
                commitment.is_per_token() && score.order_in_one_token().is_some()
            }
        }
    }
}

/// Nothing can be ranked by NaN.
fn check_finite(site: &FfnSite<'_>, h: &[f32], rows: &[RowShares]) -> Result<(), ExecutorError> {
    let neurons = site.ffn.neurons();
    let Some(token) = rows.iter().position(|row| !row.energy.is_finite()) else { return Ok(()) };
    let row = &h[token * neurons..(token + 1) * neurons];
    let neuron = row.iter().position(|h| !h.is_finite()).unwrap_or(0);
    Err(ExecutorError::NonFinite { layer: site.layer, token, neuron, value: row[neuron] })
}

fn zero_dropped(h: &mut [f32], kept: &KeptGroups, neurons: usize) {
    h.par_chunks_exact_mut(neurons).with_min_len(TOKENS_PER_TASK).enumerate().for_each_init(
        || vec![0.0; neurons],
        |masked, (row, h)| {
            masked.fill(0.0);
            for i in kept.of_row(row) {
                masked[*i as usize] = h[*i as usize];
            }
            h.copy_from_slice(masked);
        },
    );
}

/// Every token's own set, where the order follows from |h|: no sums, and keys of half the width.
fn token_groups(order: RankedBy, h: &[f32], neurons: usize, k: usize) -> KeptGroups {
    let parts: Vec<KeptGroups> = h
        .par_chunks(neurons * TOKENS_PER_TASK)
        .map(|rows| {
            let (mut scores, mut keys, mut kept) = (Vec::new(), Vec::new(), Vec::new());
            let mut groups = KeptGroups::new(k);
            for row in rows.chunks_exact(neurons) {
                scores.clear();
                match order {
                    RankedBy::Magnitude => scores.extend(row.iter().map(|h| h.abs())),
                    RankedBy::MinusMagnitude => scores.extend(row.iter().map(|h| -h.abs())),
                }
                select_top(&scores, k, &mut keys, &mut kept);
                groups.push(1, &kept);
            }
            groups
        })
        .collect();
    let mut groups = KeptGroups::new(k);
    for part in &parts {
        groups.extend(part);
    }
    groups
}

/// One commitment window of the batch.
struct Window {
    /// Key of its sequence.
    sequence: u64,
    /// Index in its sequence.
    index: usize,
    /// Tokens that share the set.
    tokens: usize,
    /// Where the set comes from; rows are rows of the batch.
    source: Source,
}

fn windows_of(windowed: &Windowed, site: &FfnSite<'_>) -> Vec<Window> {
    let mut windows = Vec::new();
    for sequence in site.batch.sequences() {
        let key = Draw::sequence_key(&site.batch.ids()[sequence.clone()]);
        let shifted = |rows: Range<usize>| sequence.start + rows.start..sequence.start + rows.end;
        for (index, rows) in windowed.commitment.windows(sequence.len()).enumerate() {
            let source = match windowed.commitment.source(&rows, sequence.len()) {
                Source::Rows(rows) => Source::Rows(shifted(rows)),
                other => other,
            };
            windows.push(Window { sequence: key, index, tokens: rows.len(), source });
        }
    }
    windows
}

struct Chooser<'a> {
    windowed: &'a Windowed,
    site: usize,
    weights: &'a SiteWeights,
    k: usize,
}

impl Chooser<'_> {
    fn choose(
        &self,
        window: &Window,
        h: &[f32],
        moments: &mut Moments,
        keys: &mut Vec<u64>,
    ) -> Vec<u32> {
        let neurons = self.weights.l2.len();
        let draw = Draw::of_window(self.windowed.seed, self.site, window.sequence, window.index);
        moments.clear();
        let scores = match &window.source {
            Source::Calibration => return self.windowed.calibrated[self.site].clone(),
            Source::Random => Random.score(self.weights, moments, &draw),
            Source::Rows(rows) => {
                moments.add(&h[rows.start * neurons..rows.end * neurons]);
                self.windowed.score.score(self.weights, moments, &draw)
            }
        };
        let mut kept = Vec::new();
        select_top(&scores, self.k, keys, &mut kept);
        kept
    }
}
