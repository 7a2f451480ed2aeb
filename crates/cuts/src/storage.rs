//! What a slimmed model takes on disk, by its parts.

use std::{collections::BTreeMap, sync::Arc};

use models::{Linear, MatrixUse, Model, Tensor, Values};

use crate::Rounding;

/// Bits of a number that nothing was done to, and of the scale of a group.
const PLAIN_BITS: u64 = 16;

/// How the entries that stay are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Index {
    /// All of them are stored.
    #[default]
    None,
    /// One bit an entry of the matrix says whether it is.
    Bitmap,
    /// The place of each in its group of `m`: `⌈log₂ m⌉` bits, 2 of them at 2:4.
    NofM {
        /// Entries stored of a group.
        n: usize,
        /// Entries of a group.
        m: usize,
    },
}

/// What is stored of a matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StoredMatrix {
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub columns: usize,
    /// Bits and groups of its entries where they were rounded; 16 bits without.
    pub rounding: Option<Rounding>,
    /// How the entries are found.
    pub index: Index,
    /// Entries that are not zero; all of them where there is no index.
    pub kept: u64,
    /// Rank of the two factors that it is stored as, `[rows, r]` and `[r, columns]`.
    pub rank: Option<usize>,
}

impl StoredMatrix {
    /// Nothing was done to it.
    pub fn dense(rows: usize, columns: usize) -> Self {
        let kept = (rows * columns) as u64;
        Self { rows, columns, rounding: None, index: Index::None, kept, rank: None }
    }

    /// Numbers that are stored of it.
    pub fn parameters(&self) -> u64 {
        match self.rank {
            Some(rank) => (rank * (self.rows + self.columns)) as u64,
            None => self.kept,
        }
    }

    /// Bits of its entries, their index, and the scales and zeros of their groups.
    pub fn bits(&self) -> u64 {
        let entries = (self.rows * self.columns) as u64;
        let (stored, index) = match (self.rank, self.index) {
            (Some(_), _) => (self.parameters(), 0),
            (None, Index::None) => (entries, 0),
            (None, Index::Bitmap) => (self.kept, entries),
            (None, Index::NofM { n, m }) => {
                let slots = entries / m as u64 * n as u64;
                (slots, slots * u64::from(m.next_power_of_two().ilog2()))
            }
        };
        let (width, groups) = match self.rounding {
            None => (PLAIN_BITS, 0),
            Some(Rounding { bits, group }) => {
                let groups_of = |rows: usize, columns: usize| rows * columns.div_ceil(group);
                let groups = match self.rank {
                    None => groups_of(self.rows, self.columns),
                    Some(rank) => groups_of(self.rows, rank) + groups_of(rank, self.columns),
                };
                (u64::from(bits), groups as u64 * (PLAIN_BITS + u64::from(bits)))
            }
        };
        stored * width + index + groups
    }
}

/// What is stored of a model (docs/SPEC.md section 11):
///
/// ```text
/// bytes = Σ over matrices ⌈(kept · bits + index + groups · (16 + bits)) / 8⌉ + 2 · rest
/// index = rows · columns at a bitmap, kept · ⌈log₂ m⌉ at n:m, 0 without
/// ```
///
/// with `bits = 16` and no groups where nothing was rounded, and all entries kept where there is no index.
#[derive(Clone, Debug, PartialEq)]
pub struct Storage {
    /// By name in the checkpoint; a matrix that layers share once.
    pub matrices: BTreeMap<String, StoredMatrix>,
    /// Parameters besides the matrices, their biases and adapters and the convolutions of mixers:
    /// embeddings, heads of the vocabulary, norms; 16 bits each.
    pub rest: u64,
    /// Biases and adapters of the matrices and convolutions of mixers, which get smaller with them; 16 bits
    /// each.
    pub beside: u64,
}

impl Storage {
    /// Of a model that nothing was cut from.
    pub fn of(model: &dyn Model) -> Self {
        let (matrices, beside) = parts(model);
        let entries: u64 = matrices.values().map(StoredMatrix::parameters).sum();
        let rest = model.facts().parameters as u64 - entries - beside;
        Self { matrices, rest, beside }
    }

    /// The same after surgery that made matrices smaller (neurons, state channels, heads) or took some away:
    /// those of another shape are counted anew, with the bits and the kind of index that they had.
    ///
    /// `rest` stays as it is; what surgery took from it, such as norms of dropped layers, is for the caller
    /// to subtract.
    pub fn after_surgery(&self, model: &dyn Model) -> Self {
        let (mut matrices, beside) = parts(model);
        for layer in 0..model.facts().layers {
            for of in model.linears(layer) {
                let name: &str = of.name();
                let (Some(new), Some(old)) = (matrices.get_mut(name), self.matrices.get(name))
                else {
                    continue;
                };
                if (new.rows, new.columns) == (old.rows, old.columns) {
                    *new = *old;
                } else if old.rank.is_none() {
                    new.rounding = old.rounding;
                    new.index = old.index;
                    if new.index != Index::None {
                        new.kept = nonzeros(&of);
                    }
                }
            }
        }
        Self { matrices, rest: self.rest, beside }
    }

    /// The same where surgery left zeros in some matrices, which are not stored but for their index.
    pub(crate) fn with_zeros(mut self, model: &dyn Model, names: &[Arc<str>]) -> Self {
        for layer in 0..model.facts().layers {
            for of in model.linears(layer) {
                let Some(stored) = self.matrices.get_mut(&**of.name()) else { continue };
                if names.contains(of.name()) && stored.rank.is_none() {
                    if stored.index == Index::None {
                        stored.index = Index::Bitmap;
                    }
                    stored.kept = nonzeros(&of);
                }
            }
        }
        self
    }

    /// The same after a step that changed all matrices: `now` says how each is stored, and what stays of
    /// it is counted.
    pub(crate) fn recounted(
        &self,
        model: &dyn Model,
        now: &(dyn Fn(&StoredMatrix) -> StoredMatrix + Sync),
    ) -> Self {
        let mut matrices = BTreeMap::new();
        for layer in 0..model.facts().layers {
            for of in model.linears(layer) {
                let name = of.name().to_string();
                let Some(old) = self.matrices.get(&name).filter(|_| !matrices.contains_key(&name))
                else {
                    continue;
                };
                let mut new = now(old);
                new.kept = match new.index {
                    Index::None => (new.rows * new.columns) as u64,
                    _ => nonzeros(&of),
                };
                matrices.insert(name, new);
            }
        }
        Self { matrices, ..*self }
    }

    /// Numbers that are stored: entries that are kept, and all the rest.
    pub fn parameters(&self) -> u64 {
        let matrices: u64 = self.matrices.values().map(StoredMatrix::parameters).sum();
        matrices + self.beside + self.rest
    }

    /// Bytes that are stored.
    pub fn bytes(&self) -> u64 {
        let matrices: u64 = self.matrices.values().map(|matrix| matrix.bits().div_ceil(8)).sum();
        matrices + (self.beside + self.rest) * PLAIN_BITS / 8
    }

    /// Whether zeros of a matrix are the work of an earlier step.
    pub(crate) fn is_sparse(&self, name: &str) -> bool {
        self.matrices.get(name).is_some_and(|matrix| matrix.index != Index::None)
    }
}

fn nonzeros(of: &MatrixUse<'_>) -> u64 {
    let count = |part: &&Linear| {
        Values::of(part.weight.clone()).iter().filter(|value| **value != 0.0).count() as u64
    };
    of.parts.iter().map(count).sum()
}

/// Entries of the adapters of one use; those of all its parts begin with the same matrix.
fn adapter_entries(of: &MatrixUse<'_>) -> u64 {
    let entries = |factor: &Tensor<2>| factor.dims().iter().product::<usize>() as u64;
    let adapters = || of.parts.iter().filter_map(|part| part.adapter.as_ref());
    let down = adapters().next().map_or(0, |adapter| entries(&adapter.down));
    down + adapters().map(|adapter| entries(&adapter.up)).sum::<u64>()
}

/// Matrices by name, and the number of parameters beside them.
fn parts(model: &dyn Model) -> (BTreeMap<String, StoredMatrix>, u64) {
    let (mut matrices, mut beside) = (BTreeMap::new(), 0);
    for layer in 0..model.facts().layers {
        for of in model.linears(layer) {
            beside += adapter_entries(&of);
            let (columns, rows) = of.widths();
            let stored = StoredMatrix::dense(rows, columns);
            if matrices.insert(of.name().to_string(), stored).is_none() {
                let biased = |part: &&&Linear| part.bias.is_some();
                let biased = of.parts.iter().filter(biased).map(|part| part.widths().1 as u64);
                beside += biased.sum::<u64>();
            }
        }
    }
    let convolutions =
        model.mixers().into_iter().map(|mixer| mixer.convolution_parameters() as u64);
    (matrices, beside + convolutions.sum::<u64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_those_of_the_formula() {
        let dense = StoredMatrix::dense(10, 100);
        assert_eq!(dense.bits(), 16_000);
        let half = StoredMatrix { index: Index::Bitmap, kept: 500, ..dense };
        assert_eq!(half.bits(), 500 * 16 + 1000);
        let pairs = StoredMatrix { index: Index::NofM { n: 2, m: 4 }, kept: 490, ..dense };
        assert_eq!(pairs.bits(), 500 * (16 + 2));
        // Two groups a row, the second one short.
        let rounding = Some(Rounding { bits: 4, group: 64 });
        assert_eq!(StoredMatrix { rounding, ..dense }.bits(), 4000 + 20 * 20);
        assert_eq!(StoredMatrix { rounding, ..half }.bits(), 2000 + 1000 + 400);
        let factored = StoredMatrix { rank: Some(4), ..dense };
        assert_eq!(factored.bits(), 4 * 110 * 16);
        // One group a row of `[10, 4]`, two a row of `[4, 100]`.
        assert_eq!(StoredMatrix { rounding, ..factored }.bits(), 4 * 110 * 4 + (10 + 8) * 20);
    }
}
