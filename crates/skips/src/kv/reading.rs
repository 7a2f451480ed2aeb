//! Whole sequences of mode `read`: blocks of queries against all keys before them, with what is not read
//! set to zero between softmax and values. What one block needs is all that is held beside the cache.

use std::ops::Range;

use models::{AttentionInputs, AttentionShape, Tensor, Values, into_values};
use vector::{Visible, causal_softmax};

use super::selection::{KvScore, KvSelection, Room, first_visible, norm};
use crate::{Commitment, Rule, Shares, commitment::Source};

/// Queries of a block at least; a window is never split.
const QUERIES_PER_BLOCK: usize = 128;

/// Softmax weights below this are taken from the logits again: what is left of a sum must have all digits
/// of `f32`.
const LEAST_MASS: f32 = 1e-25;

/// One key head and its query heads, over one sequence.
pub(super) struct Reading<'a> {
    selection: &'a KvSelection,
    commitment: Commitment,
    shape: AttentionShape,
    /// `[groups, tokens, head_dim]`
    queries: Tensor<3>,
    /// `[tokens, head_dim]`
    keys: Tensor<2>,
    /// `[tokens, head_dim]`
    values: Tensor<2>,
    /// What the score gives, or what it multiplies attention by, position by position.
    fixed: Vec<f64>,
    /// Attention so far, over what was read then.
    accumulated: Vec<f64>,
    /// Attention of the window before, over all that it saw.
    before: Vec<f64>,
    room: Room,
}

/// The logits and weights of a block of queries.
struct Block {
    rows: Range<usize>,
    /// `[groups, rows, keys]`, keys from the first of the sequence.
    logits: Vec<f32>,
    weights: Values<2>,
}

impl<'a> Reading<'a> {
    /// `drawn` gives the score `random` of every position of a window.
    pub(super) fn new(
        selection: &'a KvSelection,
        commitment: Commitment,
        shape: AttentionShape,
        inputs: &AttentionInputs,
        head: usize,
    ) -> Self {
        let by_head = 0;
        let groups = shape.heads / shape.kv_heads;
        let [_, length, head_dim] = inputs.queries.dims();
        let of_head =
            |t: &Tensor<3>| t.clone().narrow(by_head, head, 1).reshape([length, head_dim]);
        let (keys, values) = (of_head(&inputs.keys), of_head(&inputs.values));
        let (key_rows, value_rows) = (into_values(keys.clone()), into_values(values.clone()));
        let both = key_rows.chunks_exact(head_dim).zip(value_rows.chunks_exact(head_dim));
        let fixed = both.enumerate().map(|(s, (key, value))| match selection.score {
            KvScore::AttentionValue => norm(value),
            score => score.of_position(s, key, value),
        });
        Self {
            selection,
            commitment,
            shape,
            queries: inputs.queries.clone().narrow(by_head, head * groups, groups),
            fixed: fixed.collect(),
            keys,
            values,
            accumulated: vec![0.0; length],
            before: vec![0.0; length],
            room: Room::default(),
        }
    }

    /// What every query head sees: `[groups, tokens, head_dim]`, block after block to `each`; `drawn` gives
    /// the draws of a window.
    pub(super) fn run(
        &mut self,
        drawn: impl Fn(usize) -> Vec<f64>,
        shares: &mut Shares,
        mut each: impl FnMut(Range<usize>, Tensor<3>),
    ) {
        let [groups, length, head_dim] = self.queries.dims();
        let windows: Vec<Range<usize>> = self.commitment.windows(length).collect();
        let mut number = 0;
        while number < windows.len() {
            let start = windows[number].start;
            let count = windows[number..]
                .iter()
                .take_while(|window| window.end <= start + QUERIES_PER_BLOCK)
                .count()
                .max(1);
            let rows = start..windows[number + count - 1].end;
            let mut block = self.block(rows.clone());
            for (index, window) in windows[number..number + count].iter().enumerate() {
                let is_drawn =
                    self.selection.score == KvScore::Random || self.commitment.rule == Rule::Random;
                if is_drawn {
                    self.fixed = drawn(number + index);
                }
                self.window(&mut block, window.clone(), shares);
            }
            let keys = self.values.clone().narrow(0, 0, rows.end);
            let mixed = block.weights.into_tensor().matmul(keys);
            each(rows.clone(), mixed.reshape([groups, rows.len(), head_dim]));
            number += count;
        }
    }

    /// Tokens of the sequence.
    pub(super) fn tokens(&self) -> usize {
        self.queries.dims()[1]
    }

    /// A size of every key.
    pub(super) fn sizes_of_keys(&self, size: impl Fn(&[f32]) -> f64) -> Vec<f64> {
        sizes(&self.keys, size)
    }

    /// A size of every value.
    pub(super) fn sizes_of_values(&self, size: impl Fn(&[f32]) -> f64) -> Vec<f64> {
        sizes(&self.values, size)
    }

    /// Shows every query: its position, what each query head pays to the positions that it sees, and the
    /// positions that it would read.
    pub(super) fn each_row(&mut self, mut see: impl FnMut(usize, &[&[f32]], Vec<usize>)) {
        let groups = self.shape.heads / self.shape.kv_heads;
        for start in (0..self.tokens()).step_by(QUERIES_PER_BLOCK) {
            let rows = start..(start + QUERIES_PER_BLOCK).min(self.tokens());
            let block = self.block(rows.clone());
            for t in rows {
                let mut kept = self.kept(&block, &(t..t + 1));
                kept.push(t);
                let seen = first_visible(self.shape, t)..t + 1;
                let row = |group| &block.weights[block.place(group, t)][seen.clone()];
                let paid: Vec<&[f32]> = (0..groups).map(row).collect();
                see(t, &paid, kept);
            }
        }
    }

    fn block(&self, rows: Range<usize>) -> Block {
        let tokens = 1;
        let [groups, _, head_dim] = self.queries.dims();
        let queries = self.queries.clone().narrow(tokens, rows.start, rows.len());
        let queries = queries.reshape([groups * rows.len(), head_dim]);
        let keys = self.keys.clone().narrow(0, 0, rows.end);
        let mut weights = Values::of(queries.matmul(keys.transpose()));
        let logits = weights.to_vec();
        let window = self.shape.window;
        let visible = Visible { queries: rows.len(), keys: rows.end, first: rows.start, window };
        causal_softmax(&mut weights, visible);
        Block { rows, logits, weights }
    }

    /// Chooses what a window reads, and sets the weights of the rest to zero.
    fn window(&mut self, block: &mut Block, window: Range<usize>, shares: &mut Shares) {
        let groups = self.shape.heads / self.shape.kv_heads;
        let kept = self.kept(block, &window);
        let by_attention = self.selection.score.looks_at_attention();
        if by_attention && self.commitment.rule == Rule::PreviousWindow {
            self.before = self.paid(block, window.clone());
        }
        // What is not read: all before the window but what was chosen.
        let mut is_read = vec![false; window.start];
        kept.iter().for_each(|s| is_read[*s] = true);
        let skipped: Vec<usize> = (0..window.start).filter(|s| !is_read[*s]).collect();
        for t in window.clone() {
            let first = first_visible(self.shape, t);
            let own = kept.iter().copied().filter(|s| *s >= first);
            let read: Vec<usize> = own.chain(window.start.max(first)..t + 1).collect();
            shares.entries += (t + 1 - first) as u64;
            shares.kept += read.len() as u64;
            shares.energy += groups as f64;
            for group in 0..groups {
                shares.kept_energy += self.mask(block, group, t, &read, &skipped);
            }
        }
    }

    /// Positions before a window that it reads, ascending.
    fn kept(&mut self, block: &Block, window: &Range<usize>) -> Vec<usize> {
        let t = window.start;
        let first = first_visible(self.shape, t);
        let positions: Vec<usize> = (first..t).collect();
        let k = self.selection.count(t + 1 - first) - 1;
        if k >= positions.len() {
            return positions;
        }
        let scores = self.scores(block, window, first..t);
        let selection = self.selection;
        let chosen = selection.chosen(&positions, &scores, k, &mut self.room);
        chosen.into_iter().map(|place| first + place as usize).collect()
    }

    /// The scores of the positions `of`, over the rows that the rule asks.
    fn scores(&self, block: &Block, window: &Range<usize>, of: Range<usize>) -> Vec<f64> {
        let source = self.commitment.source(window, window.end);
        if !self.selection.score.looks_at_attention() || source == Source::Random {
            return self.fixed[of].to_vec();
        }
        let paid = match source {
            Source::Rows(rows) if rows.start >= window.start => self.paid(block, rows),
            _ => self.before.clone(),
        };
        let score = |s: usize| match self.selection.score {
            KvScore::AttentionValue => paid[s] * self.fixed[s],
            // That of the window before is accumulated already.
            KvScore::Accumulated if self.commitment.rule == Rule::PreviousWindow => {
                self.accumulated[s]
            }
            KvScore::Accumulated => self.accumulated[s] + paid[s],
            _ => paid[s],
        };
        of.map(score).collect()
    }

    /// Attention that these rows of the block pay to every position, over all query heads and all that is
    /// visible.
    fn paid(&self, block: &Block, rows: Range<usize>) -> Vec<f64> {
        let groups = self.shape.heads / self.shape.kv_heads;
        let mut paid = vec![0.0; block.rows.end];
        for group in 0..groups {
            for t in rows.clone() {
                let weights = &block.weights[block.place(group, t)];
                paid.iter_mut().zip(weights).for_each(|(paid, w)| *paid += f64::from(*w));
            }
        }
        paid
    }

    /// Softmax of one query over what is read, in place of that over all that is visible; returns how much
    /// of the latter was read.
    fn mask(
        &mut self,
        block: &mut Block,
        group: usize,
        t: usize,
        read: &[usize],
        skipped: &[usize],
    ) -> f64 {
        let place = block.place(group, t);
        let weights = &mut block.weights[place.clone()];
        skipped.iter().for_each(|s| weights[*s] = 0.0);
        let mass: f64 = read.iter().map(|s| f64::from(weights[*s])).sum();
        if mass as f32 >= LEAST_MASS {
            let scale = (1.0 / mass) as f32;
            weights.iter_mut().for_each(|weight| *weight *= scale);
        } else {
            softmax_of(&block.logits[place.clone()], read, weights);
        }
        if self.selection.score == KvScore::Accumulated {
            let weights = &block.weights[place];
            read.iter().for_each(|s| self.accumulated[*s] += f64::from(weights[*s]));
        }
        mass
    }
}

impl Block {
    /// Where the row of a query lies.
    fn place(&self, group: usize, t: usize) -> Range<usize> {
        let keys = self.rows.end;
        let row = group * self.rows.len() + t - self.rows.start;
        row * keys..(row + 1) * keys
    }
}

fn sizes(rows: &Tensor<2>, size: impl Fn(&[f32]) -> f64) -> Vec<f64> {
    let [_, width] = rows.dims();
    into_values(rows.clone()).chunks_exact(width).map(size).collect()
}

/// Softmax over some logits, written to their places.
fn softmax_of(logits: &[f32], over: &[usize], weights: &mut [f32]) {
    let largest = over.iter().map(|s| logits[*s]).fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = over.iter().map(|s| f64::from((logits[*s] - largest).exp())).sum();
    for s in over {
        weights[*s] = (f64::from((logits[*s] - largest).exp()) / sum) as f32;
    }
}
