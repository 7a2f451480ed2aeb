//! Keys and values of an attention in plain memory, to which decoding adds a row a token.

use burn::tensor::{Device, Tensor, TensorData};
use vector::Remembered;

use crate::tensor::Values;

/// What every key head remembers, a row a position. Nothing is moved when a row is added.
#[derive(Clone, Debug)]
pub(crate) struct KvRows {
    head_dim: usize,
    /// Rows at the beginning of every list that are forgotten.
    forgotten: usize,
    /// One list a key head.
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
}

impl KvRows {
    /// Of heads that remember nothing yet.
    pub(crate) fn empty(heads: usize, head_dim: usize) -> Self {
        let none = vec![Vec::new(); heads];
        Self { head_dim, forgotten: 0, keys: none.clone(), values: none }
    }

    /// # Shapes
    /// - both: `[kv_heads, tokens, head_dim]`
    pub(crate) fn of(tensors: [Tensor<3>; 2]) -> Self {
        let [_, tokens, head_dim] = tensors[0].dims();
        let lists = |tensor: Tensor<3>| {
            let rows = Values::of(tensor);
            rows.chunks_exact(tokens * head_dim).map(<[f32]>::to_vec).collect()
        };
        let [keys, values] = tensors.map(lists);
        Self { head_dim, forgotten: 0, keys, values }
    }

    /// The way back.
    pub(crate) fn to_tensors(&self, device: &Device) -> [Tensor<3>; 2] {
        let shape = [self.keys.len(), self.held(), self.head_dim];
        [&self.keys, &self.values].map(|lists| {
            let held: Vec<f32> = lists.iter().flat_map(|list| self.seen(list)).copied().collect();
            Tensor::from_data(TensorData::new(held, shape), device)
        })
    }

    /// Positions that are remembered.
    pub(crate) fn held(&self) -> usize {
        self.keys.first().map_or(0, |keys| keys.len() / self.head_dim) - self.forgotten
    }

    /// Numbers of all keys and values that are remembered.
    pub(crate) fn entries(&self) -> usize {
        2 * self.keys.len() * self.held() * self.head_dim
    }

    /// The part of a list that is not forgotten.
    fn seen<'a>(&self, list: &'a [f32]) -> &'a [f32] {
        &list[self.forgotten * self.head_dim..]
    }

    /// Takes up a token; with a `window`, no more than so many tokens stay, itself among them.
    ///
    /// # Shapes
    /// - `key`, `value`: `[kv_heads, head_dim]`
    pub(crate) fn push(&mut self, key: &[f32], value: &[f32], window: Option<usize>) {
        let before = window.map_or(usize::MAX, |window| window.saturating_sub(1));
        self.forgotten += self.held().saturating_sub(before);
        // Moved only when as much is forgotten as is remembered: every row at most once on average.
        let all = self.forgotten > self.held();
        for (lists, rows) in [(&mut self.keys, key), (&mut self.values, value)] {
            for (list, row) in lists.iter_mut().zip(rows.chunks_exact(self.head_dim)) {
                if all {
                    list.drain(..self.forgotten * self.head_dim);
                }
                list.extend_from_slice(row);
            }
        }
        if all {
            self.forgotten = 0;
        }
    }

    /// What every key head remembers.
    pub(crate) fn remembered(&self) -> Vec<Remembered<'_>> {
        self.keys
            .iter()
            .zip(&self.values)
            .map(|(keys, values)| Remembered { keys: self.seen(keys), values: self.seen(values) })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three heads, twenty tokens: what is remembered is the newest, however often rows were moved.
    #[test]
    fn a_window_keeps_the_newest() {
        let (heads, head_dim) = (3, 2);
        for window in [None, Some(1), Some(2), Some(7)] {
            let mut rows = KvRows::empty(heads, head_dim);
            for token in 0..20 {
                let row = |salt: usize| -> Vec<f32> {
                    (0..heads * head_dim).map(|i| (token * 100 + i * 10 + salt) as f32).collect()
                };
                rows.push(&row(1), &row(2), window);
                let held = window.map_or(token + 1, |window| window.min(token + 1));
                assert_eq!(rows.held(), held, "{window:?}");
                let back = KvRows::of(rows.to_tensors(&Device::flex()));
                for (head, (one, other)) in
                    rows.remembered().iter().zip(back.remembered()).enumerate()
                {
                    let expected: Vec<f32> = (token + 1 - held..=token)
                        .flat_map(|t| [0, 1].map(|d| (t * 100 + (head * 2 + d) * 10 + 1) as f32))
                        .collect();
                    assert_eq!(one.keys, expected);
                    assert_eq!((one.keys, one.values), (other.keys, other.values));
                    assert!(one.values.iter().zip(one.keys).all(|(v, k)| v - k == 1.0));
                }
            }
        }
    }
}
