//! The cache of attention with positions that are not read, or evicted (docs/SPEC.md section 14).
//!
//! Attention is worked out over all that is there before it is known what is read, so nothing is saved in
//! the time of whole sequences; what is evicted is really gone. Softmax runs over what is kept.

mod masking;
mod observing;
mod reading;
mod selection;
mod stepping;

use std::ops::Range;

use importance::Draw;
use models::{
    AttentionInputs, AttentionShape, AttentionSite, Dense, Executor, ExecutorError, FfnSite,
    HeadCache, KvCache, Tensor, Values, into_values, matrix,
};

pub use masking::KvMasking;
pub use observing::{
    Attending, Averaged, HeadAttention, KeyHead, SiteAttention, bucket_limits, sum_attention,
};
pub use selection::{KvMode, KvScore, KvSelection};

use self::{
    reading::Reading,
    selection::first_visible,
    stepping::{Arrival, Stepping},
};
use crate::{Measuring, Rule, Shares, shares::Tally};

/// Attention over the positions that are kept.
///
/// Whole sequences of mode `read` run block by block; the other modes, and whatever goes on with a
/// [`KvCache`], token by token.
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

    /// Nothing is dropped: the plain computation, to the last bit.
    fn dense(
        &mut self,
        site: &AttentionSite<'_>,
        inputs: Vec<AttentionInputs>,
        past: Option<&mut KvCache>,
    ) -> Tensor<2> {
        let shape = site.attention.shape();
        let offset = site.batch.offset();
        for (sequence, rows) in site.batch.sequences().enumerate() {
            let tokens = offset..offset + rows.len();
            let visible = tokens.clone().map(|t| t + 1 - first_visible(shape, t));
            let n = (visible.sum::<usize>() * shape.kv_heads) as u64;
            let weights = (rows.len() * shape.heads) as f64;
            let shares = &mut self.tally.sequences[sequence];
            shares.entries += n;
            shares.kept += n;
            shares.energy += weights;
            shares.kept_energy += weights;
            let held: Vec<u64> = tokens.map(|t| dense_numbers(shape, t)).collect();
            self.tally.holds(sequence, &held, held.last().copied().unwrap_or(0));
        }
        site.attention.attend(inputs, past)
    }

    /// One sequence; `out` has its rows, each with all heads.
    fn sequence(
        &mut self,
        site: &AttentionSite<'_>,
        (sequence, rows): (usize, Range<usize>),
        inputs: &AttentionInputs,
        mut past: Option<&mut KvCache>,
        out: &mut [f32],
    ) {
        let shape = site.attention.shape();
        let selection = self.selection;
        let key = Draw::sequence_key(&site.batch.ids()[rows.clone()]);
        let offset = site.batch.offset();
        let tokens = offset..offset + rows.len();
        if let Some(past) = &mut past {
            past.heads.resize(shape.kv_heads, HeadCache::default());
        }
        let plain = Plain::of(inputs);
        let mut held = vec![0; rows.len()];
        for head in 0..shape.kv_heads {
            let draw = |window| draw_of(&selection, site, key, head, window, rows.len());
            let shares = &mut self.tally.sequences[sequence];
            if let (KvMode::Read(commitment), None) = (selection.mode, &past) {
                let mut reading = Reading::new(&selection, commitment, shape, inputs, head);
                reading.run(draw, shares, |rows, mixed| scatter(shape, head, rows, mixed, out));
                let numbers =
                    tokens.clone().map(|t| dense_numbers(shape, t) / shape.kv_heads as u64);
                held.iter_mut().zip(numbers).for_each(|(held, own)| *held += own);
                continue;
            }
            let mut own = HeadCache::default();
            let cache = match &mut past {
                Some(past) => &mut past.heads[head],
                None => &mut own,
            };
            let drawn = if selection.score == KvScore::Random { draw(0) } else { Vec::new() };
            let mut stepping = Stepping::new(&selection, shape);
            for (row, t) in tokens.clone().enumerate() {
                let drawn = drawn.get(row).copied().unwrap_or(0.0);
                let arrival = plain.arrival(shape, head, row, t, drawn);
                let groups = shape.heads / shape.kv_heads * shape.head_dim;
                let at = row * shape.heads * shape.head_dim + head * groups;
                let queries = plain.queries(shape, head, row);
                held[row] +=
                    stepping.step(cache, arrival, queries, &mut out[at..at + groups], shares);
            }
        }
        let dense = dense_numbers(shape, tokens.end.saturating_sub(1));
        self.tally.holds(sequence, &held, dense);
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
        mut past: Option<&mut KvCache>,
    ) -> Result<Tensor<2>, ExecutorError> {
        if past.is_some() && !self.takes_pieces() {
            let what = "positions chosen by a draw or by a whole window";
            return Err(ExecutorError::Piecewise { what });
        }
        self.tally.meet(site.index, site.batch);
        if self.selection.sparsity == 0.0 {
            return Ok(self.dense(site, inputs, past));
        }
        let shape = site.attention.shape();
        let width = shape.heads * shape.head_dim;
        let (tokens, device) = (site.batch.n_tokens(), inputs[0].queries.device());
        let mut out = vec![0.0; tokens * width];
        let is_alone = inputs.len() == 1;
        for (sequence, (rows, inputs)) in site.batch.sequences().zip(&inputs).enumerate() {
            let of_rows = rows.start * width..rows.end * width;
            let own = (sequence, rows);
            if is_alone {
                self.sequence(site, own, inputs, past.as_deref_mut(), &mut out[of_rows]);
            } else {
                // Several that go on with one past leave it as it is.
                let mut past = past.as_deref().cloned();
                self.sequence(site, own, inputs, past.as_mut(), &mut out[of_rows]);
            }
        }
        Ok(matrix(out, [tokens, width], &device))
    }
}

impl Measuring for KvSkipping {
    fn take_shares(&mut self) -> Vec<Shares> {
        self.tally.take()
    }

    /// A token looks at what was kept before it and at itself, in whatever pieces it came; but a draw hangs
    /// on the whole sequence, and a window of queries chooses together.
    fn takes_pieces(&self) -> bool {
        let by_token = match self.selection.mode {
            KvMode::Read(commitment) => commitment.is_per_token(),
            KvMode::Write { .. } | KvMode::Prompt { .. } => true,
        };
        self.selection.sparsity == 0.0 || by_token && self.selection.score != KvScore::Random
    }
}

/// Numbers that the plain computation holds of one attention once token `t` has been taken up.
fn dense_numbers(shape: AttentionShape, t: usize) -> u64 {
    let positions = t + 1 - first_visible(shape, t + 1);
    (2 * shape.kv_heads * shape.head_dim * positions) as u64
}

/// Draws of every position of a sequence: one for all of it, or, by the rule `random`, one a window.
fn draw_of(
    selection: &KvSelection,
    site: &AttentionSite<'_>,
    sequence: u64,
    head: usize,
    window: usize,
    length: usize,
) -> Vec<f64> {
    // With one number a position what is read by one token is likely read by the next.
    let is_anew = matches!(selection.mode, KvMode::Read(own) if own.rule == Rule::Random);
    let window = if is_anew { window + 1 } else { 0 };
    let place = window * site.attention.shape().kv_heads + head;
    Draw::of_attention_window(selection.seed, site.index, sequence, place).uniform(length)
}

/// Writes what the query heads of a key head see to the rows of all heads.
fn scatter(
    shape: AttentionShape,
    head: usize,
    rows: Range<usize>,
    mixed: Tensor<3>,
    out: &mut [f32],
) {
    let (groups, head_dim) = (shape.heads / shape.kv_heads, shape.head_dim);
    let mixed = into_values(mixed);
    for (index, own) in mixed.chunks_exact(head_dim).enumerate() {
        let (group, row) = (index / rows.len(), rows.start + index % rows.len());
        let at = (row * shape.heads + head * groups + group) * head_dim;
        out[at..at + head_dim].copy_from_slice(own);
    }
}

/// Queries, keys and values as plain memory.
struct Plain {
    queries: Values<3>,
    keys: Values<3>,
    values: Values<3>,
    tokens: usize,
}

impl Plain {
    fn of(inputs: &AttentionInputs) -> Self {
        let [_, tokens, _] = inputs.queries.dims();
        let plain = |t: &Tensor<3>| Values::of(t.clone());
        let [queries, keys, values] =
            [plain(&inputs.queries), plain(&inputs.keys), plain(&inputs.values)];
        Self { queries, keys, values, tokens }
    }

    fn arrival(
        &self,
        shape: AttentionShape,
        head: usize,
        row: usize,
        position: usize,
        drawn: f64,
    ) -> Arrival<'_> {
        let at = (head * self.tokens + row) * shape.head_dim;
        let of = at..at + shape.head_dim;
        Arrival { position, key: &self.keys[of.clone()], value: &self.values[of], drawn }
    }

    /// The queries of the heads that share a key head.
    fn queries(
        &self,
        shape: AttentionShape,
        head: usize,
        row: usize,
    ) -> impl Iterator<Item = &[f32]> + Clone {
        let groups = shape.heads / shape.kv_heads;
        (head * groups..(head + 1) * groups).map(move |head| {
            let at = (head * self.tokens + row) * shape.head_dim;
            &self.queries[at..at + shape.head_dim]
        })
    }
}
