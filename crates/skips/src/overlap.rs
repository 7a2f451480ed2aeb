//! How fast the kept sets of single tokens change: what two tokens keep both, by the distance between them.

use importance::{Draw, Moments, Score, SiteWeights};
use models::{Executor, ExecutorError, FfnSite, Tensor, Values};
use rayon::prelude::*;
use sparse::{kept_count, select_top};

/// Pairs of tokens of one site at one distance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LagOverlap {
    /// Pairs measured.
    pub pairs: u64,
    /// Neurons that both tokens of a pair keep, added up.
    pub shared: u64,
    /// Shared over all neurons of the two sets (Jaccard), added up.
    pub jaccard: f64,
}

impl LagOverlap {
    fn add(&mut self, more: &Self) {
        self.pairs += more.pairs;
        self.shared += more.shared;
        self.jaccard += more.jaccard;
    }
}

/// The overlaps of one site.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SiteOverlaps {
    /// Layer it stands in.
    pub layer: usize,
    /// Neurons, F.
    pub neurons: usize,
    /// Neurons that a token keeps, k.
    pub kept: usize,
    /// One entry a lag.
    pub lags: Vec<LagOverlap>,
}

/// Runs densely and compares the sets that dynamic sparsity would keep.
pub struct Overlapping<'a> {
    score: &'a dyn Score,
    sparsity: f64,
    seed: u64,
    lags: &'a [usize],
    sites: Vec<SiteOverlaps>,
}

impl<'a> Overlapping<'a> {
    /// The sets of κ = `sparsity` by `score`, compared at distances of `lags` tokens (each at least 1).
    pub fn new(score: &'a dyn Score, sparsity: f64, seed: u64, lags: &'a [usize]) -> Self {
        Self { score, sparsity, seed, lags, sites: Vec::new() }
    }

    /// One entry a site.
    pub fn finish(self) -> Vec<SiteOverlaps> {
        self.sites
    }

    /// The kept set of every token of one sequence, as bits.
    fn sets(&self, site: &FfnSite<'_>, ids: &[u32], h: &[f32], k: usize) -> Vec<Vec<u64>> {
        let neurons = site.ffn.neurons();
        let weights = SiteWeights::of(site.ffn);
        let key = Draw::sequence_key(ids);
        let of_token = |(moments, keys, kept): &mut (Moments, Vec<u64>, Vec<u32>),
                        (token, h): (usize, &[f32])| {
            moments.clear();
            moments.add(h);
            let draw = Draw::of_window(self.seed, site.index, key, token);
            select_top(&self.score.score(&weights, moments, &draw), k, keys, kept);
            let mut bits = vec![0; neurons.div_ceil(64)];
            kept.iter().for_each(|i| bits[*i as usize / 64] |= 1 << (i % 64));
            bits
        };
        h.par_chunks(neurons)
            .enumerate()
            .map_init(|| (Moments::new(neurons), Vec::new(), Vec::new()), of_token)
            .collect()
    }
}

/// What the sets of one sequence share at one distance.
fn compare(sets: &[Vec<u64>], lag: usize, kept: usize) -> LagOverlap {
    let mut overlap = LagOverlap::default();
    for (earlier, later) in sets.iter().zip(sets.iter().skip(lag)) {
        let shared: u32 = earlier.iter().zip(later).map(|(a, b)| (a & b).count_ones()).sum();
        overlap.pairs += 1;
        overlap.shared += u64::from(shared);
        overlap.jaccard += f64::from(shared) / (2 * kept - shared as usize) as f64;
    }
    overlap
}

/// The overlaps of several texts together, added in order.
pub fn sum_overlaps(parts: impl IntoIterator<Item = Vec<SiteOverlaps>>) -> Vec<SiteOverlaps> {
    let mut parts = parts.into_iter();
    let mut sum = parts.next().unwrap_or_default();
    for part in parts {
        let sites = sum.iter_mut().zip(&part);
        let lags = sites.flat_map(|(sum, part)| sum.lags.iter_mut().zip(&part.lags));
        lags.for_each(|(sum, part)| sum.add(part));
    }
    sum
}

impl Executor for Overlapping<'_> {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        let neurons = site.ffn.neurons();
        let kept = kept_count(neurons, self.sparsity);
        let h = Values::of(site.ffn.hidden(x));
        if self.sites.len() <= site.index {
            let lags = vec![LagOverlap::default(); self.lags.len()];
            self.sites.push(SiteOverlaps { layer: site.layer, neurons, kept, lags });
        }
        for rows in site.batch.sequences() {
            let ids = &site.batch.ids()[rows.clone()];
            let sets = self.sets(site, ids, &h[rows.start * neurons..rows.end * neurons], kept);
            for (lag, sum) in self.lags.iter().zip(&mut self.sites[site.index].lags) {
                sum.add(&compare(&sets, *lag, kept));
            }
        }
        Ok(site.ffn.project(h.into_tensor()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_by_hand() {
        let sets = [vec![0b0111], vec![0b1110], vec![0b0111]];
        let found = [1, 2, 3].map(|lag| compare(&sets, lag, 3));
        assert_eq!(found[0], LagOverlap { pairs: 2, shared: 4, jaccard: 1.0 });
        assert_eq!(found[1], LagOverlap { pairs: 1, shared: 3, jaccard: 1.0 });
        assert_eq!(found[2], LagOverlap::default(), "no two tokens so far apart");
    }
}
