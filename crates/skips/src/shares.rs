//! What an executor measures beside its output.

use models::{Batch, Executor};

/// Counts of one sequence over all sites. Of a recurrent state an entry is one token's reading of one
/// channel: its energy is that of what is read, `E·C'²` (with `C'` unmasked, and `E` as the scores of its
/// window saw it), and no zeros are counted. Of exits an entry is one token in one layer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shares {
    /// Entries of h: tokens × neurons (or `G·N` channels) × sites.
    pub entries: u64,
    /// Entries that the kept sets hold.
    pub kept: u64,
    /// Entries that are exactly zero.
    pub zeros: u64,
    /// Σh² of all entries.
    pub energy: f64,
    /// Σh² of kept entries.
    pub kept_energy: f64,
    /// Tokens that could leave before the last layer.
    pub exit_tokens: u64,
    /// Σ over these tokens of the layers after which each was predicted.
    pub exit_layers: u64,
    /// What is left of the cache of attention after the last token, where positions are skipped.
    pub cache: Option<CacheBytes>,
}

/// Bytes of cached keys and values, over all attentions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheBytes {
    /// Held after the last token.
    pub left: u64,
    /// The most held after any token.
    pub peak: u64,
    /// What the plain computation holds after the last token.
    pub dense: u64,
}

impl Shares {
    /// Adds other counts: of another sequence, of what went before in this one, or of another part.
    ///
    /// Bytes of cache are not added up, for one cache is there at a time: what is left is that of the later
    /// counts, the peak that of all.
    pub fn add(&mut self, other: &Self) {
        self.entries += other.entries;
        self.kept += other.kept;
        self.zeros += other.zeros;
        self.energy += other.energy;
        self.kept_energy += other.kept_energy;
        self.exit_tokens += other.exit_tokens;
        self.exit_layers += other.exit_layers;
        self.cache = match (self.cache, other.cache) {
            (Some(own), Some(other)) => {
                Some(CacheBytes { peak: own.peak.max(other.peak), ..other })
            }
            (own, other) => own.or(other),
        };
    }

    /// Mean layers after which a token is predicted; none where none could leave.
    pub fn layers_per_token(&self) -> Option<f64> {
        (self.exit_tokens > 0).then(|| self.exit_layers as f64 / self.exit_tokens as f64)
    }

    /// Share of entries that were dropped: the sparsity that was reached; 0 where there is no entry.
    pub fn reached_sparsity(&self) -> f64 {
        share((self.entries - self.kept) as f64, self.entries as f64)
    }

    /// Share of entries that are exactly zero.
    pub fn natural_sparsity(&self) -> f64 {
        share(self.zeros as f64, self.entries as f64)
    }

    /// Share of Σh² that the kept sets hold; 1 where h is all zero.
    pub fn kept_energy_share(&self) -> f64 {
        if self.energy == 0.0 { 1.0 } else { self.kept_energy / self.energy }
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

/// The shares of the sequences of batches, as an executor meets them site by site.
#[derive(Default)]
pub(crate) struct Tally {
    /// One entry a sequence of the batch that is running, all its sites so far.
    pub(crate) sequences: Vec<Shares>,
    done: Vec<Shares>,
    /// Of every sequence, numbers held in caches after each of its tokens, all sites so far.
    held: Vec<Vec<u64>>,
}

/// Bytes of a number that is cached.
const BYTES: u64 = size_of::<f32>() as u64;

impl Tally {
    /// Called at every site of a batch, before its shares are added: the first site begins a new batch.
    pub(crate) fn meet(&mut self, site: usize, batch: &Batch) {
        if site == 0 || self.sequences.is_empty() {
            self.end_batch();
            self.sequences = vec![Shares::default(); batch.sequences().count()];
        }
    }

    /// What a site holds in its cache after each token of a sequence, in numbers, and what the plain
    /// computation holds after the last.
    pub(crate) fn holds(&mut self, sequence: usize, numbers: &[u64], dense: u64) {
        if self.held.len() <= sequence {
            self.held.resize(sequence + 1, Vec::new());
        }
        let held = &mut self.held[sequence];
        held.resize(numbers.len().max(held.len()), 0);
        held.iter_mut().zip(numbers).for_each(|(held, own)| *held += own);
        let cache = self.sequences[sequence].cache.get_or_insert_default();
        cache.dense += BYTES * dense;
    }

    fn end_batch(&mut self) {
        for (shares, held) in self.sequences.iter_mut().zip(self.held.drain(..)) {
            if let Some(cache) = &mut shares.cache {
                cache.left = BYTES * held.last().copied().unwrap_or(0);
                cache.peak = BYTES * held.iter().copied().max().unwrap_or(0);
            }
        }
        self.done.append(&mut self.sequences);
    }

    /// See [`Measuring::take_shares`].
    pub(crate) fn take(&mut self) -> Vec<Shares> {
        self.end_batch();
        std::mem::take(&mut self.done)
    }
}

/// An executor that measures the shares of every sequence.
pub trait Measuring: Executor {
    /// The shares of each sequence of the batches since the last call, in order.
    fn take_shares(&mut self) -> Vec<Shares>;

    /// Whether every token is treated by itself, whatever stands before it and in whatever sequence: then
    /// a sequence may be fed in pieces, and several may go on from one beginning, with the same result.
    fn takes_pieces(&self) -> bool {
        false
    }
}
