//! The cache of attention with positions that are not read, or evicted (docs/SPEC.md section 14).
//!
//! All logits of one key head are worked out, so nothing is saved in time; the memory beside the cache is
//! the logits of one key head of one layer. Softmax runs over what is kept.

use importance::Draw;
use models::{
    AttentionInputs, AttentionShape, AttentionSite, Dense, Executor, ExecutorError, FfnSite,
    KvCache, Tensor, Values, into_values, matrix,
};
use sparse::kept_count;

use crate::{Measuring, Shares, heads::norm, shares::Tally};

/// What ranks cached positions; larger means keep. `a` is the attention that a head pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvScore {
    /// `Σ_h a(t, h, s)`
    Attention,
    /// `Σ_h a(t, h, s)·‖v_s‖₂`
    AttentionValue,
    /// `‖k_s‖₂`
    KeySize,
    /// `−‖k_s‖₂`
    KeySizeReversed,
    /// `‖v_s‖₂`
    ValueSize,
    /// `s`
    Recency,
    /// `Σ_{t' ≤ t} Σ_h a(t', h, s)`, over what was kept then.
    Accumulated,
    /// A seeded draw: the control.
    Random,
}

/// Whether what is dropped can come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvMode {
    /// Every token chooses what it reads.
    Read,
    /// The cache is cut every so many tokens.
    Write {
        /// W, tokens between two cuts.
        every: usize,
    },
    /// The cache is cut once; later positions all stay.
    Prompt {
        /// P, tokens before the cut.
        tokens: usize,
    },
}

/// Which positions stay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KvSelection {
    /// Ranks the positions.
    pub score: KvScore,
    /// κ, the fraction dropped.
    pub sparsity: f64,
    /// Whether what is dropped can come back.
    pub mode: KvMode,
    /// The first positions, which come before every score.
    pub sinks: usize,
    /// Seed of what is drawn.
    pub seed: u64,
}

/// Tokens of a prompt whose attention chooses what stays of it (SnapKV).
const PROMPT_QUERIES: usize = 32;

/// Attention over the positions that are kept.
pub struct KvSkipping {
    selection: KvSelection,
    tally: Tally,
}

impl Clone for KvSkipping {
    fn clone(&self) -> Self {
        Self::new(self.selection)
    }
}

impl KvSkipping {
    /// Runs a model with these positions.
    pub fn new(selection: KvSelection) -> Self {
        Self { selection, tally: Tally::default() }
    }
}

impl KvSkipping {
    /// Nothing is dropped: the plain computation, to the last bit.
    fn dense(&mut self, site: &AttentionSite<'_>, inputs: Vec<AttentionInputs>) -> Tensor<2> {
        let AttentionShape { heads, kv_heads, window, .. } = site.attention.shape();
        for (shares, rows) in self.tally.sequences.iter_mut().zip(site.batch.sequences()) {
            let visible = |t: usize| (t + 1).min(window.unwrap_or(usize::MAX));
            let n: usize = (0..rows.len()).map(visible).sum();
            shares.entries += (n * kv_heads) as u64;
            shares.kept += (n * kv_heads) as u64;
            shares.energy += (rows.len() * heads) as f64;
            shares.kept_energy += (rows.len() * heads) as f64;
        }
        site.attention.attend(inputs, None)
    }
}

impl Executor for KvSkipping {
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
            let what = "a cache of which positions are skipped";
            return Err(ExecutorError::Piecewise { what });
        }
        self.tally.meet(site.index, site.batch);
        let shape = site.attention.shape();
        if self.selection.sparsity == 0.0 {
            return Ok(self.dense(site, inputs));
        }
        let width = shape.heads * shape.head_dim;
        let (tokens, device) = (site.batch.n_tokens(), inputs[0].queries.device());
        let mut out = vec![0.0; tokens * width];
        for (sequence, (rows, inputs)) in site.batch.sequences().zip(&inputs).enumerate() {
            let ids = &site.batch.ids()[rows.clone()];
            let out = &mut out[rows.start * width..rows.end * width];
            let key = Draw::sequence_key(ids);
            for head in 0..shape.kv_heads {
                let mut group = Group::new(&self.selection, shape, inputs, head);
                if self.selection.score == KvScore::Random {
                    // One number a position: what is kept by one token is likely kept by the next.
                    let draw =
                        Draw::of_attention_window(self.selection.seed, site.index, key, head);
                    group.fixed = draw.uniform(rows.len());
                }
                group.run(out, &mut self.tally.sequences[sequence]);
            }
        }
        Ok(matrix(out, [tokens, width], &device))
    }
}

impl Measuring for KvSkipping {
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
    /// `[groups, tokens, tokens]`, the logits of every query head.
    logits: Values<2>,
    /// `[tokens, head_dim]`
    values: Vec<f32>,
    /// ‖v‖₂ of every position.
    value_sizes: Vec<f64>,
    /// What a score that hangs on the position alone gives; empty for the others.
    fixed: Vec<f64>,
    /// Attention so far.
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
    ) -> Self {
        let by_head = 0;
        let groups = shape.heads / shape.kv_heads;
        let [_, length, head_dim] = inputs.queries.dims();
        let queries = inputs.queries.clone().narrow(by_head, head * groups, groups);
        let of_head =
            |t: &Tensor<3>| t.clone().narrow(by_head, head, 1).reshape([length, head_dim]);
        let (keys, values) = (of_head(&inputs.keys), of_head(&inputs.values));
        let queries = queries.reshape([groups * length, head_dim]);
        let logits = Values::of(queries.matmul(keys.clone().transpose()));
        let (keys, values) = (into_values(keys), into_values(values));
        let sizes = |rows: &[f32]| -> Vec<f64> { rows.chunks_exact(head_dim).map(norm).collect() };
        let value_sizes = sizes(&values);
        let fixed = match selection.score {
            KvScore::KeySize => sizes(&keys),
            KvScore::KeySizeReversed => sizes(&keys).into_iter().map(|size| -size).collect(),
            KvScore::ValueSize => value_sizes.clone(),
            KvScore::Recency => (0..length).map(|s| s as f64).collect(),
            _ => Vec::new(),
        };
        Self {
            selection,
            shape,
            head,
            length,
            logits,
            values,
            value_sizes,
            fixed,
            accumulated: vec![0.0; length],
            alive: vec![true; length],
        }
    }

    /// Writes the outputs of the query heads, token by token.
    fn run(&mut self, out: &mut [f32], shares: &mut Shares) {
        let width = self.shape.heads * self.shape.head_dim;
        // What the last queries of a prompt paid.
        let mut paid_by_prompt = vec![0.0; self.length];
        for (t, out) in out.chunks_exact_mut(width).enumerate() {
            let first = self.shape.window.map_or(0, |window| (t + 1).saturating_sub(window));
            let visible: Vec<usize> = (first..=t).filter(|s| self.alive[*s]).collect();
            let (kept, mass) = match self.selection.mode {
                KvMode::Read => self.read(t, &visible),
                _ => (visible.clone(), None),
            };
            let paid = self.attend(t, &kept, out);
            for (s, own) in kept.iter().zip(&paid) {
                self.accumulated[*s] += own;
            }
            let n = t + 1 - first;
            let groups = (self.shape.heads / self.shape.kv_heads) as f64;
            shares.entries += n as u64;
            shares.kept += kept.len() as u64;
            shares.energy += groups;
            shares.kept_energy += mass.unwrap_or(groups);
            match self.selection.mode {
                KvMode::Write { every } if (t + 1) % every == 0 => self.cut(t, &kept, &paid),
                KvMode::Prompt { tokens } if t < tokens => {
                    if t + PROMPT_QUERIES >= tokens {
                        kept.iter().zip(&paid).for_each(|(s, own)| paid_by_prompt[*s] += own);
                    }
                    if t + 1 == tokens {
                        let paid: Vec<f64> = kept.iter().map(|s| paid_by_prompt[*s]).collect();
                        self.cut(t, &kept, &paid);
                    }
                }
                _ => {}
            }
        }
    }

    /// What token `t` reads of what is visible to it, and the attention of all its heads that this is.
    fn read(&self, t: usize, visible: &[usize]) -> (Vec<usize>, Option<f64>) {
        let paid = self.softmax(t, visible).into_iter();
        let paid = paid.fold(vec![0.0; visible.len()], |mut sum, weights| {
            sum.iter_mut().zip(&weights).for_each(|(sum, weight)| *sum += f64::from(*weight));
            sum
        });
        let k = kept_count(visible.len(), self.selection.sparsity);
        let kept = self.chosen(t, visible, &paid, k);
        let mass = kept.iter().map(|index| paid[*index]).sum();
        (kept.into_iter().map(|index| visible[index]).collect(), Some(mass))
    }

    /// Drops for good what a cut after token `t` does not keep; `paid` is the attention just paid.
    fn cut(&mut self, t: usize, kept: &[usize], paid: &[f64]) {
        let k = kept_count(t + 1, self.selection.sparsity).min(kept.len());
        let stay = self.chosen(t, kept, paid, k);
        kept.iter().for_each(|s| self.alive[*s] = false);
        stay.into_iter().for_each(|index| self.alive[kept[index]] = true);
    }

    /// The `k` places of `among` that stay, ascending: the token itself, the sinks, then by score; ties go
    /// to the lowest position.
    fn chosen(&self, t: usize, among: &[usize], paid: &[f64], k: usize) -> Vec<usize> {
        let score = |index: usize| {
            let s = among[index];
            match self.selection.score {
                KvScore::Attention => paid[index],
                KvScore::AttentionValue => paid[index] * self.value_sizes[s],
                // In mode `read` what is paid now is added when it is known what is read.
                KvScore::Accumulated => match self.selection.mode {
                    KvMode::Read => self.accumulated[s] + paid[index],
                    _ => self.accumulated[s],
                },
                _ => self.fixed[s],
            }
        };
        let class = |s: usize| match s {
            _ if s == t => 0,
            _ if s < self.selection.sinks => 1,
            _ => 2,
        };
        let scores: Vec<f64> = (0..among.len()).map(score).collect();
        let mut order: Vec<usize> = (0..among.len()).collect();
        order.sort_by(|a, b| {
            let classes = class(among[*a]).cmp(&class(among[*b]));
            let by_score = match class(among[*a]) {
                2 => scores[*b].total_cmp(&scores[*a]),
                _ => std::cmp::Ordering::Equal,
            };
            classes.then(by_score).then(a.cmp(b))
        });
        order.truncate(k);
        order.sort_unstable();
        order
    }

    /// Attention weights of every query head over some positions.
    fn softmax(&self, t: usize, over: &[usize]) -> Vec<Vec<f32>> {
        let groups = self.shape.heads / self.shape.kv_heads;
        let of_group = |group: usize| {
            let row = (group * self.length + t) * self.length;
            let logits = &self.logits[row..row + self.length];
            let largest = over.iter().map(|s| logits[*s]).fold(f32::NEG_INFINITY, f32::max);
            let mut weights: Vec<f32> = over.iter().map(|s| (logits[*s] - largest).exp()).collect();
            let sum: f64 = weights.iter().map(|own| f64::from(*own)).sum();
            weights.iter_mut().for_each(|own| *own = (f64::from(*own) / sum) as f32);
            weights
        };
        (0..groups).map(of_group).collect()
    }

    /// Writes the outputs of token `t` over what is kept; the attention paid to each, over all heads.
    fn attend(&self, t: usize, kept: &[usize], out: &mut [f32]) -> Vec<f64> {
        let head_dim = self.shape.head_dim;
        let groups = self.shape.heads / self.shape.kv_heads;
        let mut paid = vec![0.0; kept.len()];
        for (group, weights) in self.softmax(t, kept).into_iter().enumerate() {
            let at = (self.head * groups + group) * head_dim;
            let out = &mut out[at..at + head_dim];
            for ((s, weight), paid) in kept.iter().zip(&weights).zip(&mut paid) {
                let value = &self.values[s * head_dim..(s + 1) * head_dim];
                out.iter_mut().zip(value).for_each(|(out, value)| *out += weight * value);
                *paid += f64::from(*weight);
            }
        }
        paid
    }
}
