//! How many neurons survive, and which ones for which tokens.

use std::ops::Range;

/// `k = max(1, round((1 − κ)·F))`, half away from zero.
pub fn kept_count(neurons: usize, sparsity: f64) -> usize {
    // 1 − κ is inexact: without the nudge (1 − .9)·15 = 1.4999999999999998 would round to 1.
    let exact = (1.0 - sparsity) * neurons as f64;
    let nudged = (exact * 1e9).round() / 1e9;
    (nudged.round() as usize).clamp(1, neurons.max(1))
}

/// Kept sets of one size, each shared by a run of consecutive tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptGroups {
    k: usize,
    /// First row of every group, ascending, and the number of rows at the end.
    bounds: Vec<usize>,
    /// `k` ascending neuron indices a group.
    indices: Vec<u32>,
}

impl KeptGroups {
    /// No group yet; every set will hold `k` neurons.
    pub fn new(k: usize) -> Self {
        Self { k, bounds: vec![0], indices: Vec::new() }
    }

    /// Appends a group of the next `rows` tokens.
    ///
    /// `kept` holds `k` ascending indices.
    pub fn push(&mut self, rows: usize, kept: &[u32]) {
        assert_eq!(kept.len(), self.k, "every kept set of a site has the same size");
        self.bounds.push(self.n_rows() + rows);
        self.indices.extend_from_slice(kept);
    }

    /// Size of every set.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Tokens covered.
    pub fn n_rows(&self) -> usize {
        self.bounds.last().copied().unwrap_or(0)
    }

    /// Rows and kept set of every group.
    pub fn iter(&self) -> impl Iterator<Item = (Range<usize>, &[u32])> {
        let rows = self.bounds.windows(2).map(|b| b[0]..b[1]);
        rows.zip(self.indices.chunks_exact(self.k.max(1)))
    }

    /// Kept set of a row.
    pub fn of_row(&self, row: usize) -> &[u32] {
        let group = self.bounds.partition_point(|bound| *bound <= row) - 1;
        &self.indices[group * self.k..(group + 1) * self.k]
    }

    /// Groups made elsewhere, one after the other.
    pub fn extend(&mut self, other: &Self) {
        for (rows, kept) in other.iter() {
            self.push(rows.len(), kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_the_page() {
        assert_eq!(kept_count(1536, 0.9), 154);
        assert_eq!(kept_count(1536, 0.5), 768);
        assert_eq!(kept_count(10, 0.0), 10);
        assert_eq!(kept_count(10, 0.99), 1, "at least one neuron stays");
        assert_eq!(kept_count(5, 0.5), 3, "half away from zero");
        assert_eq!(kept_count(15, 0.9), 2, "1.5 rounds up although 1 - 0.9 is inexact");
    }

    #[test]
    fn rows_find_their_group() {
        let mut groups = KeptGroups::new(1);
        groups.push(2, &[4]);
        groups.push(3, &[7]);
        assert_eq!((0..5).map(|row| groups.of_row(row)[0]).collect::<Vec<_>>(), [4, 4, 7, 7, 7]);
        assert_eq!(groups.iter().map(|(rows, _)| rows).collect::<Vec<_>>(), [0..2, 2..5]);
    }
}
