//! Section 14 of docs/SPEC.md written out: all logits of one key head, and for every token a list of the
//! positions that it reads. The reference; [`KvSkipping`](super::KvSkipping) is what runs.

use std::ops::Range;

use importance::Draw;
use models::{
    AttentionInputs, AttentionShape, AttentionSite, Dense, Executor, ExecutorError, FfnSite,
    KvCache, Tensor, into_values, matrix,
};

use super::{
    draw_of,
    selection::{KvMode, KvScore, KvSelection, first_visible, norm},
};
use crate::{Commitment, Measuring, Rule, Shares, commitment::Source, shares::Tally};

/// Attention over the positions that are kept, token by token, with nothing really forgotten.
pub struct KvMasking {
    selection: KvSelection,
    tally: Tally,
}

impl KvMasking {
    /// Runs a model with these positions.
    pub fn new(selection: KvSelection) -> Self {
        Self { selection, tally: Tally::default() }
    }
}

impl Executor for KvMasking {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        Dense.ffn(site, x)
    }

    fn attention(
        &mut self,
        site: &AttentionSite<'_>,
        inputs: Vec<AttentionInputs>,
        past: Option<&mut KvCache>,
    ) -> Result<Tensor<2>, ExecutorError> {
        if past.is_some() {
            return Err(ExecutorError::Piecewise { what: "masks over the cache" });
        }
        self.tally.meet(site.index, site.batch);
        let shape = site.attention.shape();
        let width = shape.heads * shape.head_dim;
        let (tokens, device) = (site.batch.n_tokens(), inputs[0].queries.device());
        let mut out = vec![0.0; tokens * width];
        for (sequence, (rows, inputs)) in site.batch.sequences().zip(&inputs).enumerate() {
            let key = Draw::sequence_key(&site.batch.ids()[rows.clone()]);
            let out = &mut out[rows.start * width..rows.end * width];
            for head in 0..shape.kv_heads {
                let draw = |window| draw_of(&self.selection, site, key, head, window, rows.len());
                let mut group = Group::new(&self.selection, shape, inputs, head, &draw);
                let held = group.run(out, &mut self.tally.sequences[sequence]);
                let last = rows.len() + 1 - first_visible(shape, rows.len());
                self.tally.holds(sequence, &held, (2 * shape.head_dim * (last - 1)) as u64);
            }
        }
        Ok(matrix(out, [tokens, width], &device))
    }
}

impl Measuring for KvMasking {
    fn take_shares(&mut self) -> Vec<Shares> {
        self.tally.take()
    }
}

/// One key head and its query heads, over one sequence.
struct Group<'a> {
    selection: &'a KvSelection,
    shape: AttentionShape,
    head: usize,
    length: usize,
    draw: &'a dyn Fn(usize) -> Vec<f64>,
    /// `[groups, tokens, tokens]`, the logits of every query head.
    logits: Vec<f32>,
    /// `[tokens, head_dim]`
    keys: Vec<f32>,
    /// `[tokens, head_dim]`
    values: Vec<f32>,
    /// Attention so far, over what was kept then.
    accumulated: Vec<f64>,
    /// What no cut has dropped.
    alive: Vec<bool>,
}

impl<'a> Group<'a> {
    fn new(
        selection: &'a KvSelection,
        shape: AttentionShape,
        inputs: &AttentionInputs,
        head: usize,
        draw: &'a dyn Fn(usize) -> Vec<f64>,
    ) -> Self {
        let by_head = 0;
        let groups = shape.heads / shape.kv_heads;
        let [_, length, head_dim] = inputs.queries.dims();
        let queries = inputs.queries.clone().narrow(by_head, head * groups, groups);
        let of_head =
            |t: &Tensor<3>| t.clone().narrow(by_head, head, 1).reshape([length, head_dim]);
        let (keys, values) = (of_head(&inputs.keys), of_head(&inputs.values));
        let queries = queries.reshape([groups * length, head_dim]);
        Self {
            selection,
            shape,
            head,
            length,
            draw,
            logits: into_values(queries.matmul(keys.clone().transpose())),
            keys: into_values(keys),
            values: into_values(values),
            accumulated: vec![0.0; length],
            alive: vec![true; length],
        }
    }

    fn groups(&self) -> usize {
        self.shape.heads / self.shape.kv_heads
    }

    /// Writes the outputs of the query heads, token by token; the numbers held after each.
    fn run(&mut self, out: &mut [f32], shares: &mut Shares) -> Vec<u64> {
        let width = self.shape.heads * self.shape.head_dim;
        // What the last queries of a prompt paid.
        let mut by_prompt = vec![0.0; self.length];
        let mut held = Vec::new();
        for (t, out) in out.chunks_exact_mut(width).enumerate() {
            let first = first_visible(self.shape, t);
            let (kept, mass) = match self.selection.mode {
                KvMode::Read(commitment) => {
                    let kept = self.read(t, commitment);
                    let paid = self.paid(t);
                    let mass = kept.iter().map(|s| paid[*s]).sum();
                    (kept, mass)
                }
                _ => {
                    let kept = (first..=t).filter(|s| self.alive[*s]).collect();
                    (kept, self.groups() as f64)
                }
            };
            let paid = self.attend(t, &kept, out);
            for (s, own) in kept.iter().zip(&paid) {
                self.accumulated[*s] += own;
                by_prompt[*s] += if self.selection.asks_of_prompt(t) { *own } else { 0.0 };
            }
            shares.entries += (t + 1 - first) as u64;
            shares.kept += kept.len() as u64;
            shares.energy += self.groups() as f64;
            shares.kept_energy += mass;
            if self.selection.cuts_after(t) {
                self.cut(t, &kept, &paid, &by_prompt);
            }
            let next = first_visible(self.shape, t + 1);
            let alive = (next..=t).filter(|s| self.alive[*s]).count();
            held.push((2 * self.shape.head_dim * alive) as u64);
        }
        held
    }

    /// What token `t` reads: of what lies before its window what the window chose, and all inside of it.
    fn read(&self, t: usize, commitment: Commitment) -> Vec<usize> {
        let windows: Vec<Range<usize>> = commitment.windows(self.length).collect();
        let number = windows.iter().position(|window| window.contains(&t)).unwrap_or(0);
        let window = &windows[number];
        let begins = first_visible(self.shape, window.start);
        let candidates: Vec<usize> = (begins..=window.start).collect();
        let scores: Vec<f64> = match commitment.source(window, self.length) {
            Source::Rows(rows) => {
                let by_row: Vec<Vec<f64>> = rows.clone().map(|row| self.paid(row)).collect();
                let sum = |s: &usize| by_row.iter().map(|paid| paid[*s]).sum();
                let paid: Vec<f64> = candidates.iter().map(sum).collect();
                // What the window before paid for what it read is in the sum already.
                let adds = commitment.rule != Rule::PreviousWindow;
                let accumulated = |s: usize| self.accumulated_before(window.start, s);
                let score = |(s, paid): (&usize, &f64)| match self.selection.score {
                    KvScore::Random => (self.draw)(number)[*s],
                    KvScore::Accumulated => accumulated(*s) + if adds { *paid } else { 0.0 },
                    score => self.score(score, *s, *paid),
                };
                candidates.iter().zip(&paid).map(score).collect()
            }
            _ => candidates.iter().map(|s| (self.draw)(number)[*s]).collect(),
        };
        let k = self.selection.count(candidates.len());
        let kept = self.best(window.start, &candidates, &scores, k);
        let first = first_visible(self.shape, t);
        let inside = window.start + 1..t + 1;
        kept.into_iter().chain(inside).filter(|s| *s >= first).collect()
    }

    /// Attention that was paid to a position before token `t`: of all tokens so far, where `t` is the
    /// first of its window.
    fn accumulated_before(&self, t: usize, s: usize) -> f64 {
        if s < t { self.accumulated[s] } else { 0.0 }
    }

    /// A score that does not add up over time.
    fn score(&self, score: KvScore, s: usize, paid: f64) -> f64 {
        let row = s * self.shape.head_dim..(s + 1) * self.shape.head_dim;
        match score {
            KvScore::Attention => paid,
            KvScore::AttentionValue => paid * norm(&self.values[row]),
            KvScore::KeySize => norm(&self.keys[row]),
            KvScore::KeySizeReversed => -norm(&self.keys[row]),
            KvScore::ValueSize => norm(&self.values[row]),
            KvScore::Recency => s as f64,
            KvScore::Random => (self.draw)(0)[s],
            KvScore::Accumulated => self.accumulated[s],
        }
    }

    /// Drops for good what a cut after token `t` does not keep; `paid` is the attention just paid.
    fn cut(&mut self, t: usize, kept: &[usize], paid: &[f64], by_prompt: &[f64]) {
        let of_prompt = matches!(self.selection.mode, KvMode::Prompt { .. });
        let paid =
            kept.iter().zip(paid).map(|(s, own)| if of_prompt { by_prompt[*s] } else { *own });
        let scores =
            kept.iter().zip(paid).map(|(s, paid)| self.score(self.selection.score, *s, paid));
        let sinks = kept.iter().filter(|s| **s < self.selection.sinks && **s != t).count();
        let k = self.selection.count(t + 1).max(sinks + 1).min(kept.len());
        let stay = self.best(t, kept, &scores.collect::<Vec<_>>(), k);
        kept.iter().for_each(|s| self.alive[*s] = false);
        stay.into_iter().for_each(|s| self.alive[s] = true);
    }

    /// The `k` positions that stay, ascending: the token itself, the sinks, then by score; ties go to the
    /// lowest position.
    fn best(&self, t: usize, among: &[usize], scores: &[f64], k: usize) -> Vec<usize> {
        let class = |s: usize| match s {
            _ if s == t => 0,
            _ if s < self.selection.sinks => 1,
            _ => 2,
        };
        let mut order: Vec<usize> = (0..among.len()).collect();
        order.sort_by(|a, b| {
            let classes = class(among[*a]).cmp(&class(among[*b]));
            let by_score = match class(among[*a]) {
                2 => scores[*b].total_cmp(&scores[*a]),
                _ => std::cmp::Ordering::Equal,
            };
            classes.then(by_score).then(a.cmp(b))
        });
        let mut stay: Vec<usize> = order.into_iter().take(k).map(|index| among[index]).collect();
        stay.sort_unstable();
        stay
    }

    /// Attention that all query heads of token `t` pay to every position, over all that is visible.
    fn paid(&self, t: usize) -> Vec<f64> {
        let visible: Vec<usize> = (first_visible(self.shape, t)..=t).collect();
        let mut paid = vec![0.0; self.length];
        for group in 0..self.groups() {
            let weights = self.softmax(group, t, &visible);
            visible.iter().zip(weights).for_each(|(s, own)| paid[*s] += f64::from(own));
        }
        paid
    }

    /// Attention weights of one query head over some positions.
    fn softmax(&self, group: usize, t: usize, over: &[usize]) -> Vec<f32> {
        let row = (group * self.length + t) * self.length;
        let logits = &self.logits[row..row + self.length];
        let largest = over.iter().map(|s| logits[*s]).fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f32> = over.iter().map(|s| (logits[*s] - largest).exp()).collect();
        let sum: f64 = weights.iter().map(|own| f64::from(*own)).sum();
        weights.into_iter().map(|own| (f64::from(own) / sum) as f32).collect()
    }

    /// Writes the outputs of token `t` over what is kept; the attention paid to each, over all heads.
    fn attend(&self, t: usize, kept: &[usize], out: &mut [f32]) -> Vec<f64> {
        let head_dim = self.shape.head_dim;
        let mut paid = vec![0.0; kept.len()];
        for group in 0..self.groups() {
            let at = (self.head * self.groups() + group) * head_dim;
            let out = &mut out[at..at + head_dim];
            let weights = self.softmax(group, t, kept);
            for ((s, weight), paid) in kept.iter().zip(&weights).zip(&mut paid) {
                let value = &self.values[s * head_dim..(s + 1) * head_dim];
                out.iter_mut().zip(value).for_each(|(out, value)| *out += weight * value);
                *paid += f64::from(*weight);
            }
        }
        paid
    }
}
