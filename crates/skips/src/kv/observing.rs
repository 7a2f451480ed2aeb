//! What attention looks at: how far back, where, how widely; whether the size of a key says it; and how long
//! a position stays among those that are looked at most.

use models::{
    AttentionInputs, AttentionShape, AttentionSite, Dense, Executor, ExecutorError, FfnSite,
    KvCache, Tensor,
};

use super::{
    reading::Reading,
    selection::{KvMode, KvScore, KvSelection, first_visible, norm},
};
use crate::Commitment;

/// A sum over queries, and over how many.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Averaged {
    /// Σ
    pub sum: f64,
    /// Terms.
    pub n: u64,
}

impl Averaged {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.n += 1;
    }

    fn join(&mut self, more: Self) {
        self.sum += more.sum;
        self.n += more.n;
    }

    /// Σ/n; none of nothing.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / self.n as f64)
    }
}

/// What a query head pays, summed over queries. A bucket holds `2^(i−1) … 2^i − 1`, the first one 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadAttention {
    /// Attention to positions so many tokens back, by bucket.
    pub by_lag: Vec<f64>,
    /// Attention to positions so far from the start, by bucket.
    pub by_position: Vec<f64>,
    /// `−Σ_s a·ln a`, nats.
    pub entropy_nats: f64,
}

/// What holds of a key head.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyHead {
    /// Spearman's ρ, over the positions of a text, of `‖k_s‖₂` with the attention that `s` draws.
    pub rho_key_size: Averaged,
    /// The same of `‖v_s‖₂`.
    pub rho_value_size: Averaged,
    /// Share of the positions that a query keeps (by `attention`, at κ) and that the query `lag` tokens later
    /// keeps too; one entry a lag of powers of two, from 1.
    pub still_kept: Vec<Averaged>,
    /// The same of two sets drawn by chance.
    pub by_chance: Vec<Averaged>,
}

/// One attention.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SiteAttention {
    /// Layer it stands in.
    pub layer: usize,
    /// Queries measured.
    pub queries: u64,
    /// One entry a query head.
    pub heads: Vec<HeadAttention>,
    /// One entry a key head.
    pub key_heads: Vec<KeyHead>,
    /// What a head that looks at all it sees alike would pay, as in [`HeadAttention`].
    pub even: HeadAttention,
}

/// Runs densely and looks at the attention that is paid.
pub struct Attending {
    sparsity: f64,
    sites: Vec<SiteAttention>,
}

impl Attending {
    /// Kept positions are those of κ = `sparsity`.
    pub fn new(sparsity: f64) -> Self {
        Self { sparsity, sites: Vec::new() }
    }

    /// One entry an attention.
    pub fn finish(self) -> Vec<SiteAttention> {
        self.sites
    }

    fn sequence(&mut self, site: &AttentionSite<'_>, inputs: &AttentionInputs) {
        let shape = site.attention.shape();
        let [_, tokens, _] = inputs.queries.dims();
        let own = &mut self.sites[site.index];
        own.queries += tokens as u64;
        for t in 0..tokens {
            let first = first_visible(shape, t);
            own.even.add(t, first, &vec![1.0 / (t + 1 - first) as f32; t + 1 - first]);
        }
        let groups = shape.heads / shape.kv_heads;
        for head in 0..shape.kv_heads {
            let selection = KvSelection {
                score: KvScore::Attention,
                sparsity: self.sparsity,
                mode: KvMode::Read(Commitment::DYNAMIC),
                sinks: 0,
                seed: 0,
            };
            let heads = &mut own.heads[head * groups..(head + 1) * groups];
            let reading = Reading::new(&selection, Commitment::DYNAMIC, shape, inputs, head);
            of_key_head(reading, shape, heads, &mut own.key_heads[head]);
        }
    }
}

impl HeadAttention {
    /// Adds what query `t` pays to the positions from `first` to itself.
    fn add(&mut self, t: usize, first: usize, paid: &[f32]) {
        for (s, paid) in (first..=t).zip(paid) {
            let paid = f64::from(*paid);
            for (sums, at) in [(&mut self.by_lag, t - s), (&mut self.by_position, s)] {
                let bucket = bucket(at);
                if sums.len() <= bucket {
                    sums.resize(bucket + 1, 0.0);
                }
                sums[bucket] += paid;
            }
            if paid > 0.0 {
                self.entropy_nats -= paid * paid.ln();
            }
        }
    }

    fn join(&mut self, more: &Self) {
        for (sums, more) in
            [(&mut self.by_lag, &more.by_lag), (&mut self.by_position, &more.by_position)]
        {
            sums.resize(sums.len().max(more.len()), 0.0);
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
        self.entropy_nats += more.entropy_nats;
    }
}

/// 0, 1, 2–3, 4–7, …
fn bucket(at: usize) -> usize {
    (usize::BITS - at.leading_zeros()) as usize
}

/// The positions or lags of a bucket: the first and the last.
pub fn bucket_limits(bucket: usize) -> (usize, usize) {
    match bucket {
        0 => (0, 0),
        _ => (1 << (bucket - 1), (1 << bucket) - 1),
    }
}

fn of_key_head(
    mut reading: Reading<'_>,
    shape: AttentionShape,
    heads: &mut [HeadAttention],
    key_head: &mut KeyHead,
) {
    let tokens = reading.tokens();
    let mut drawn = vec![0.0; tokens];
    let mut kept: Vec<Vec<usize>> = Vec::with_capacity(tokens);
    reading.each_row(|t, rows, own| {
        let first = first_visible(shape, t);
        for (head, row) in heads.iter_mut().zip(rows) {
            head.add(t, first, row);
        }
        for (index, drawn) in drawn[first..=t].iter_mut().enumerate() {
            // Beside what each of the positions seen would draw if all drew alike.
            let paid: f64 = rows.iter().map(|row| f64::from(row[index])).sum();
            *drawn += paid * (t + 1 - first) as f64;
        }
        kept.push(own);
    });
    let seen_by = |s: usize| match shape.window {
        Some(window) => window.min(tokens - s),
        None => tokens - s,
    };
    let drawn: Vec<f64> = drawn.iter().enumerate().map(|(s, d)| d / seen_by(s) as f64).collect();
    for (rho, sizes) in [
        (&mut key_head.rho_key_size, reading.sizes_of_keys(norm)),
        (&mut key_head.rho_value_size, reading.sizes_of_values(norm)),
    ] {
        // None where all are of one size.
        if let Ok(found) = statistics::spearman(&sizes, &drawn) {
            rho.add(found);
        }
    }
    let mut lag = 1;
    for index in 0.. {
        if lag >= tokens {
            break;
        }
        if key_head.still_kept.len() <= index {
            key_head.still_kept.push(Averaged::default());
            key_head.by_chance.push(Averaged::default());
        }
        for (t, earlier) in kept.iter().enumerate().take(tokens - lag) {
            let later = &kept[t + lag];
            // Only what the later query still sees can be kept by it.
            let first = first_visible(shape, t + lag);
            let there: Vec<usize> = earlier.iter().copied().filter(|s| *s >= first).collect();
            if there.is_empty() {
                continue;
            }
            let shared = there.iter().filter(|s| later.binary_search(s).is_ok()).count();
            key_head.still_kept[index].add(shared as f64 / there.len() as f64);
            let chance = later.len() as f64 / (t + lag + 1 - first) as f64;
            key_head.by_chance[index].add(chance);
        }
        lag *= 2;
    }
}

/// What several texts gave, added in order.
pub fn sum_attention(parts: impl IntoIterator<Item = Vec<SiteAttention>>) -> Vec<SiteAttention> {
    let mut parts = parts.into_iter();
    let mut sum = parts.next().unwrap_or_default();
    for part in parts {
        for (sum, part) in sum.iter_mut().zip(&part) {
            sum.queries += part.queries;
            sum.even.join(&part.even);
            sum.heads.iter_mut().zip(&part.heads).for_each(|(sum, part)| sum.join(part));
            for (sum, part) in sum.key_heads.iter_mut().zip(&part.key_heads) {
                sum.rho_key_size.join(part.rho_key_size);
                sum.rho_value_size.join(part.rho_value_size);
                for (sums, more) in
                    [(&mut sum.still_kept, &part.still_kept), (&mut sum.by_chance, &part.by_chance)]
                {
                    sums.resize(sums.len().max(more.len()), Averaged::default());
                    sums.iter_mut().zip(more).for_each(|(sum, more)| sum.join(*more));
                }
            }
        }
    }
    sum
}

impl Executor for Attending {
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
            return Err(ExecutorError::Piecewise { what: "an observation of attention" });
        }
        let AttentionShape { heads, kv_heads, .. } = site.attention.shape();
        if self.sites.len() <= site.index {
            self.sites.push(SiteAttention {
                layer: site.layer,
                heads: vec![HeadAttention::default(); heads],
                key_heads: vec![KeyHead::default(); kv_heads],
                ..SiteAttention::default()
            });
        }
        inputs.iter().for_each(|own| self.sequence(site, own));
        Ok(site.attention.attend(inputs, past))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_by_hand() {
        let buckets = [0, 1, 2, 3, 4, 7, 8].map(bucket);
        assert_eq!(buckets, [0, 1, 2, 2, 3, 3, 4]);
        assert_eq!([0, 1, 2, 3].map(bucket_limits), [(0, 0), (1, 1), (2, 3), (4, 7)]);
    }

    #[test]
    fn what_a_head_pays_by_hand() {
        let mut head = HeadAttention::default();
        head.add(2, 0, &[0.5, 0.25, 0.25]);
        assert_eq!(head.by_lag, [0.25, 0.25, 0.5]);
        assert_eq!(head.by_position, [0.5, 0.25, 0.25]);
        assert!((head.entropy_nats - 1.5 * std::f64::consts::LN_2).abs() < 1e-12);
    }
}
