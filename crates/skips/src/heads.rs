//! Attention heads that are skipped: what they give is zero where they are not kept.
//!
//! A head's output is known only when it is computed, so nothing is saved here; what is measured is what
//! a machine that guessed the set beforehand would lose.

use std::{ops::Range, sync::Arc};

use importance::{AllHeadEffects, Draw, head_size};
use models::{
    AttentionInputs, AttentionSite, Dense, Executor, ExecutorError, FfnSite, KvCache, Tensor,
    into_values, matrix,
};
use sparse::kept_count;

use crate::{
    Commitment, Measuring, Rule, Shares, commitment::Source, masking::largest, shares::Tally,
};

/// What ranks heads; larger means keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadScore {
    /// `Σ_t ‖o_th‖₂`
    Magnitude,
    /// `Σ_t ‖W_o[:, h]·o_th‖₂`: how far the attention's output moves when the head alone is dropped.
    Impact,
    /// `|Σ_t g_th·o_th|` over a calibration text; no token has it by itself, so for the rule `calibration`
    /// alone.
    Taylor,
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
    /// The static set of every site, for the rule `calibration`; else empty.
    calibrated: Arc<Vec<Vec<u32>>>,
    /// For the score `impact`.
    effects: Arc<AllHeadEffects>,
    tally: Tally,
}

impl Clone for HeadSkipping {
    fn clone(&self) -> Self {
        Self {
            selection: self.selection,
            calibrated: Arc::clone(&self.calibrated),
            effects: Arc::clone(&self.effects),
            tally: Tally::default(),
        }
    }
}

impl HeadSkipping {
    /// Runs a model of `sites` attentions with these kept sets.
    pub fn new(selection: HeadSelection, sites: usize) -> Self {
        Self {
            selection,
            calibrated: Arc::default(),
            effects: Arc::new(AllHeadEffects::new(sites)),
            tally: Tally::default(),
        }
    }

    /// The same with a set for every attention, chosen beforehand: what the rule `calibration` holds.
    #[must_use]
    pub fn with_sets(self, calibrated: Vec<Vec<u32>>) -> Self {
        Self { calibrated: Arc::new(calibrated), ..self }
    }

    /// The score of every head of every token: `[tokens, heads]`; none where nothing hangs on tokens.
    fn scores(&self, site: &AttentionSite<'_>, o: &[f32], head_dim: usize) -> Vec<f64> {
        let heads = site.attention.shape().heads;
        let by_head = o.chunks_exact(head_dim);
        match self.selection.score {
            _ if self.selection.commitment.rule == Rule::Calibration => Vec::new(),
            HeadScore::Random | HeadScore::Taylor => Vec::new(),
            HeadScore::Magnitude => by_head.map(head_size).collect(),
            HeadScore::Impact => {
                let effects = self.effects.of_site(site.index, site.attention);
                by_head.enumerate().map(|(index, o)| effects.of(index % heads, o)).collect()
            }
        }
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
            (_, Source::Calibration) => {
                return self.calibrated[site.index].iter().map(|head| *head as usize).collect();
            }
            (HeadScore::Random, _) | (_, Source::Random) => drawn(),
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
        let (mut n_kept, mut energy, mut kept_energy) = (0, 0.0, 0.0);
        for (number, window) in commitment.windows(rows.len()).enumerate() {
            let source = commitment.source(&window, rows.len());
            let kept = self.kept(site, key, (number, source), &scores, k);
            n_kept += window.len() * kept.len();
            let width = heads * head_dim;
            for token in o[window.start * width..window.end * width].chunks_exact_mut(width) {
                for (head, o) in token.chunks_exact_mut(head_dim).enumerate() {
                    let own = head_size(o).powi(2);
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
        shares.kept += n_kept as u64;
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
