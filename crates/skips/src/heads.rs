//! Attention heads that are skipped: what they give is zero where they are not kept.
//!
//! A head's output is known only when it is computed, so nothing is saved here; what is measured is what
//! a machine that guessed the set beforehand would lose.

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

use importance::Draw;
use models::{
    Attention, AttentionInputs, AttentionSite, Dense, Executor, ExecutorError, FfnSite, KvCache,
    Tensor, into_values, matrix,
};
use sparse::kept_count;

use crate::{Commitment, Measuring, Shares, commitment::Source, masking::largest, shares::Tally};

/// What ranks heads; larger means keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadScore {
    /// `Σ_t ‖o_th‖₂`
    Magnitude,
    /// `Σ_t ‖W_o[:, h]·o_th‖₂`: how far the attention's output moves when the head alone is dropped.
    Impact,
    /// A seeded draw: the control.
    Random,
}

/// Which heads are kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadSelection {
    /// Ranks the heads.
    pub score: HeadScore,
    /// κ, the fraction dropped.
    pub sparsity: f64,
    /// Which tokens share a set.
    pub commitment: Commitment,
    /// Seed of what is drawn.
    pub seed: u64,
}

/// Zeroes the output of heads that are not kept.
///
/// A clone is an executor of its own that shares what was read of the weights.
pub struct HeadSkipping {
    selection: HeadSelection,
    /// Of every site, `W_h·W_hᵀ` of every head one after the other, read when an `impact` first needs it.
    grams: Arc<Vec<OnceLock<Vec<f32>>>>,
    tally: Tally,
}

impl Clone for HeadSkipping {
    fn clone(&self) -> Self {
        let grams = Arc::clone(&self.grams);
        Self { selection: self.selection, grams, tally: Tally::default() }
    }
}

impl HeadSkipping {
    /// Runs a model of `sites` attentions with these kept sets.
    pub fn new(selection: HeadSelection, sites: usize) -> Self {
        let grams = Arc::new((0..sites).map(|_| OnceLock::new()).collect());
        Self { selection, grams, tally: Tally::default() }
    }

    /// The score of every head of every token: `[tokens, heads]`; of `random` nothing hangs on tokens.
    fn scores(&self, site: &AttentionSite<'_>, o: &[f32], head_dim: usize) -> Vec<f64> {
        let gram = match self.selection.score {
            HeadScore::Random => return Vec::new(),
            HeadScore::Magnitude => None,
            HeadScore::Impact => {
                let known = self.grams.get(site.index);
                known.map(|known| known.get_or_init(|| grams(site.attention)).as_slice())
            }
        };
        let heads = site.attention.shape().heads;
        let of_head = |(index, o): (usize, &[f32])| match gram {
            None => norm(o),
            Some(gram) => {
                let area = head_dim * head_dim;
                norm_through(o, &gram[index % heads * area..][..area])
            }
        };
        o.chunks_exact(head_dim).enumerate().map(of_head).collect()
    }

    /// The kept heads of a window of a sequence, ascending; `scores` are those of the sequence.
    fn kept(
        &self,
        site: &AttentionSite<'_>,
        sequence: u64,
        (window, source): (usize, Source),
        scores: &[f64],
        k: usize,
    ) -> Vec<usize> {
        let heads = site.attention.shape().heads;
        let drawn = || {
            let draw = Draw::of_attention_window(self.selection.seed, site.index, sequence, window);
            draw.uniform(heads)
        };
        let summed = match (self.selection.score, source) {
            (HeadScore::Random, _) | (_, Source::Random | Source::Calibration) => drawn(),
            (_, Source::Rows(rows)) => {
                let mut sums = vec![0.0; heads];
                for token in scores[rows.start * heads..rows.end * heads].chunks_exact(heads) {
                    sums.iter_mut().zip(token).for_each(|(sum, score)| *sum += score);
                }
                sums
            }
        };
        largest(&summed, k)
    }

    /// Zeroes what a sequence drops; `o` holds its rows.
    fn mask(
        &mut self,
        site: &AttentionSite<'_>,
        sequence: usize,
        rows: Range<usize>,
        o: &mut [f32],
    ) {
        let shape = site.attention.shape();
        let (heads, head_dim) = (shape.heads, shape.head_dim);
        let k = kept_count(heads, self.selection.sparsity);
        let commitment = self.selection.commitment;
        let key = Draw::sequence_key(&site.batch.ids()[rows.clone()]);
        let scores = self.scores(site, o, head_dim);
        let (mut energy, mut kept_energy) = (0.0, 0.0);
        for (number, window) in commitment.windows(rows.len()).enumerate() {
            let source = commitment.source(&window, rows.len());
            let kept = self.kept(site, key, (number, source), &scores, k);
            let width = heads * head_dim;
            for token in o[window.start * width..window.end * width].chunks_exact_mut(width) {
                for (head, o) in token.chunks_exact_mut(head_dim).enumerate() {
                    let own = norm(o).powi(2);
                    energy += own;
                    match kept.binary_search(&head) {
                        Ok(_) => kept_energy += own,
                        Err(_) => o.fill(0.0),
                    }
                }
            }
        }
        let shares = &mut self.tally.sequences[sequence];
        shares.entries += (rows.len() * heads) as u64;
        shares.kept += (rows.len() * k) as u64;
        shares.energy += energy;
        shares.kept_energy += kept_energy;
    }
}

impl Executor for HeadSkipping {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        Dense.ffn(site, x)
    }

    fn attention(
        &mut self,
        site: &AttentionSite<'_>,
        inputs: Vec<AttentionInputs>,
        past: Option<&mut KvCache>,
    ) -> Result<Tensor<2>, ExecutorError> {
        let o = site.attention.attend(inputs, past);
        self.tally.meet(site.index, site.batch);
        let ([tokens, width], device) = (o.dims(), o.device());
        let mut o = into_values(o);
        for (sequence, rows) in site.batch.sequences().enumerate() {
            let of_rows = rows.start * width..rows.end * width;
            self.mask(site, sequence, rows, &mut o[of_rows]);
        }
        Ok(matrix(o, [tokens, width], &device))
    }
}

impl Measuring for HeadSkipping {
    fn take_shares(&mut self) -> Vec<Shares> {
        self.tally.take()
    }

    fn takes_pieces(&self) -> bool {
        let HeadSelection { commitment, score, .. } = self.selection;
        // What is drawn hangs on the whole sequence.
        commitment.is_per_token() && score != HeadScore::Random
    }
}

/// ‖o‖₂, summed in f64.
pub(crate) fn norm(o: &[f32]) -> f64 {
    o.iter().map(|o| f64::from(*o).powi(2)).sum::<f64>().sqrt()
}

/// `sqrt(o·G·oᵀ)`: the length of what a map makes of `o`, from the map's Gram matrix.
fn norm_through(o: &[f32], gram: &[f32]) -> f64 {
    let rows = gram.chunks_exact(o.len()).zip(o);
    let of_row = |(row, own): (&[f32], &f32)| {
        let product: f64 = row.iter().zip(o).map(|(g, o)| f64::from(*g) * f64::from(*o)).sum();
        product * f64::from(*own)
    };
    // Rounding can leave the square of nothing below zero.
    rows.map(of_row).sum::<f64>().max(0.0).sqrt()
}

/// The Gram matrix of what the output projection makes of each head.
fn grams(attention: &Attention) -> Vec<f32> {
    let map = attention.output_map();
    let [width, _] = map.dims();
    let head_dim = attention.shape().head_dim;
    let of_head = |head: usize| {
        let own = map.clone().narrow(0, head * head_dim, head_dim);
        into_values(own.clone().matmul(own.transpose()))
    };
    (0..width / head_dim).flat_map(of_head).collect()
}
