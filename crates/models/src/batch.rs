//! Sequences laid end to end: nothing is ever padded.

use std::ops::Range;

/// Several sequences of token ids, one after the other.
///
/// Every linear layer sees them as one matrix of tokens; attention and commitment windows look at
/// [`Batch::sequences`] and never cross a border.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    ids: Vec<u32>,
    starts: Vec<usize>,
    /// Position of the first token of every sequence.
    offset: usize,
}

impl Batch {
    /// Joins the sequences; empty ones are dropped.
    pub fn new<'a>(sequences: impl IntoIterator<Item = &'a [u32]>) -> Self {
        let (mut ids, mut starts) = (Vec::new(), Vec::new());
        for sequence in sequences {
            if !sequence.is_empty() {
                starts.push(ids.len());
                ids.extend_from_slice(sequence);
            }
        }
        Self { ids, starts, offset: 0 }
    }

    /// More tokens of one sequence of which `seen` tokens were fed before.
    pub fn after(seen: usize, ids: &[u32]) -> Self {
        Self { offset: seen, ..Self::new([ids]) }
    }

    /// Several sequences that all go on with one of which `seen` tokens were fed before; empty ones are
    /// dropped.
    pub fn branches<'a>(seen: usize, sequences: impl IntoIterator<Item = &'a [u32]>) -> Self {
        Self { offset: seen, ..Self::new(sequences) }
    }

    /// Position of the first token of every sequence: 0 unless it goes on with an earlier one.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// All ids, sequence after sequence.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Number of tokens in all sequences.
    pub fn n_tokens(&self) -> usize {
        self.ids.len()
    }

    /// The rows of each sequence.
    pub fn sequences(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let ends = self.starts.iter().skip(1).copied().chain([self.ids.len()]);
        self.starts.iter().copied().zip(ends).map(|(start, end)| start..end)
    }

    /// Position of every row in its own sequence.
    pub fn positions(&self) -> Vec<usize> {
        self.sequences().flat_map(|rows| self.offset..self.offset + rows.len()).collect()
    }

    /// Number of sequences, where all have the same length.
    pub fn equal_sequences(&self) -> Option<usize> {
        let longest = self.longest();
        self.sequences().all(|rows| rows.len() == longest).then_some(self.starts.len())
    }

    /// Tokens of the longest sequence, without those fed before.
    pub fn longest(&self) -> usize {
        self.sequences().map(|rows| rows.len()).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::Batch;

    #[test]
    fn sequences_keep_their_borders() {
        let batch = Batch::new([&[1, 2, 3][..], &[], &[4]]);
        assert_eq!(batch.sequences().collect::<Vec<_>>(), [0..3, 3..4]);
        assert_eq!(batch.positions(), [0, 1, 2, 0]);
        assert_eq!((batch.longest(), batch.n_tokens()), (3, 4));
        assert_eq!(Batch::after(5, &[7, 8]).positions(), [5, 6]);
    }
}
