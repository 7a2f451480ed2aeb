//! The reference executor: the words of the specification, one after the other.

use importance::{Draw, Moments, Random, Score, SiteWeights};
use models::{Executor, ExecutorError, FfnSite, Tensor, into_values, matrix};
use sparse::kept_count;

use crate::{Measuring, Selection, Shares, Windowed, commitment::Source, shares::Tally};

/// Zeroes what is dropped, then multiplies densely.
pub struct Masking {
    selection: Selection,
    tally: Tally,
}

impl Masking {
    /// Runs a model with these kept sets.
    pub fn new(selection: Selection) -> Self {
        Self { selection, tally: Tally::default() }
    }

    /// The kept set of every token of one sequence.
    ///
    /// `h` holds the sequence's rows.
    fn kept_of_sequence(&self, site: &FfnSite<'_>, ids: &[u32], h: &[f32]) -> Vec<Vec<usize>> {
        let neurons = site.ffn.neurons();
        let as_set = |set: &Vec<u32>| set.iter().map(|i| *i as usize).collect::<Vec<_>>();
        match &self.selection {
            Selection::All => vec![(0..neurons).collect(); ids.len()],
            Selection::Static(sets) => vec![as_set(&sets[site.index]); ids.len()],
            Selection::Windowed(windowed) => {
                let mut kept = Vec::new();
                for (window, rows) in windowed.commitment.windows(ids.len()).enumerate() {
                    let set = match windowed.commitment.source(&rows, ids.len()) {
                        Source::Calibration => as_set(&windowed.calibrated[site.index]),
                        source => {
                            let scores = window_scores(windowed, site, ids, h, window, &source);
                            largest(&scores, kept_count(neurons, windowed.sparsity))
                        }
                    };
                    kept.extend(rows.map(|_| set.clone()));
                }
                kept
            }
        }
    }
}

fn window_scores(
    windowed: &Windowed,
    site: &FfnSite<'_>,
    ids: &[u32],
    h: &[f32],
    window: usize,
    source: &Source,
) -> Vec<f64> {
    let neurons = site.ffn.neurons();
    let weights = SiteWeights::of(site.ffn);
    let draw = Draw::of_window(windowed.seed, site.index, Draw::sequence_key(ids), window);
    let mut moments = Moments::new(neurons);
    match source {
        Source::Rows(rows) => {
            moments.add(&h[rows.start * neurons..rows.end * neurons]);
            windowed.score.score(&weights, &moments, &draw)
        }
        Source::Random | Source::Calibration => Random.score(&weights, &moments, &draw),
    }
}

/// Indices of the `k` largest, ascending; ties to the lowest index.
pub(crate) fn largest(scores: &[f64], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    order.truncate(k);
    order.sort_unstable();
    order
}

impl Executor for Masking {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        let neurons = site.ffn.neurons();
        let device = x.device();
        let mut h = into_values(site.ffn.hidden(x));
        self.tally.meet(site.index, site.batch);
        for (sequence, rows) in site.batch.sequences().enumerate() {
            let of_rows = rows.start * neurons..rows.end * neurons;
            let ids = &site.batch.ids()[rows];
            let kept = self.kept_of_sequence(site, ids, &h[of_rows.clone()]);
            let shares = &mut self.tally.sequences[sequence];
            for (h, kept) in h[of_rows].chunks_exact_mut(neurons).zip(kept) {
                let mut masked = vec![0.0; neurons];
                for i in &kept {
                    masked[*i] = h[*i];
                }
                let energy = |h: &[f32]| h.iter().map(|h| f64::from(*h).powi(2)).sum::<f64>();
                shares.entries += neurons as u64;
                shares.kept += kept.len() as u64;
                shares.zeros += h.iter().filter(|h| **h == 0.0).count() as u64;
                shares.energy += energy(h);
                shares.kept_energy += energy(&masked);
                h.copy_from_slice(&masked);
            }
        }
        Ok(site.ffn.project(matrix(h, [site.batch.n_tokens(), neurons], &device)))
    }
}

impl Measuring for Masking {
    fn take_shares(&mut self) -> Vec<Shares> {
        self.tally.take()
    }
}
