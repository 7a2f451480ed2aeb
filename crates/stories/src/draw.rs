//! Seeded draws that depend on nothing but what they are for.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A ChaCha8 generator keyed by where its numbers are used, so that any text can be made without
/// those before it. All draws are of `u32`: the numbers are the same on every platform.
pub(crate) struct Draw {
    rng: ChaCha8Rng,
}

impl Draw {
    /// The key is four numbers: seed, split, stream, index.
    pub(crate) fn new(key: [u64; 4]) -> Self {
        let mut bytes = [0; 32];
        for (part, number) in bytes.chunks_exact_mut(8).zip(key) {
            part.copy_from_slice(&number.to_le_bytes());
        }
        Self { rng: ChaCha8Rng::from_seed(bytes) }
    }

    /// Uniform in `0..n`; 0 where `n` is 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        match u32::try_from(n) {
            Ok(n) if n > 0 => self.rng.random_range(0..n) as usize,
            _ => 0,
        }
    }

    /// True in `numerator` of `denominator` cases.
    pub(crate) fn chance(&mut self, numerator: usize, denominator: usize) -> bool {
        self.below(denominator) < numerator
    }

    /// One of the entries; nothing of an empty list.
    pub(crate) fn pick<T: Copy>(&mut self, entries: &[T]) -> Option<T> {
        if entries.is_empty() {
            return None;
        }
        let index = self.below(entries.len());
        entries.get(index).copied()
    }

    /// One of the entries, each as often as its weight says; nothing where all weights are 0.
    pub(crate) fn weighted<T: Copy>(&mut self, entries: &[(T, usize)]) -> Option<T> {
        let total = entries.iter().map(|(_, weight)| weight).sum();
        let mut left = self.below(total);
        entries.iter().find_map(|(entry, weight)| {
            if left < *weight {
                return Some(*entry);
            }
            left -= weight;
            None
        })
    }

    /// `n` different entries in random order (all of them where there are fewer).
    pub(crate) fn sample<T: Copy>(&mut self, entries: &[T], n: usize) -> Vec<T> {
        let mut entries = entries.to_vec();
        let n = n.min(entries.len());
        for i in 0..n {
            let other = i + self.below(entries.len() - i);
            entries.swap(i, other);
        }
        entries.truncate(n);
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_numbers() {
        let numbers = |key| {
            let mut draw = Draw::new(key);
            (0..8).map(|_| draw.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(numbers([1, 2, 3, 4]), numbers([1, 2, 3, 4]));
        for other in [[2, 2, 3, 4], [1, 1, 3, 4], [1, 2, 4, 4], [1, 2, 3, 5]] {
            assert_ne!(numbers([1, 2, 3, 4]), numbers(other));
        }
    }

    #[test]
    fn weights_are_shares() {
        let mut draw = Draw::new([7, 0, 0, 0]);
        let drawn =
            (0..9000).filter(|_| draw.weighted(&[('a', 1), ('b', 0), ('c', 2)]) == Some('c'));
        let c = drawn.count();
        assert!((5800..6200).contains(&c), "{c}");
        assert_eq!(draw.weighted(&[('a', 0)]), None);
        assert_eq!(draw.weighted::<char>(&[]), None);
    }

    #[test]
    fn samples_have_no_repeats() {
        let mut draw = Draw::new([7, 0, 0, 1]);
        let mut sample = draw.sample(&[1, 2, 3, 4, 5], 5);
        sample.sort_unstable();
        assert_eq!(sample, [1, 2, 3, 4, 5]);
        assert_eq!(draw.sample(&[1, 2], 4).len(), 2);
    }
}
