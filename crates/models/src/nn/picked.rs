//! Some entries of a map, with zeros between them: what surgery leaves where groups keep different numbers.

use burn::tensor::{Int, Tensor, TensorData};

use super::{Linear, LowRank};

impl Linear {
    /// These outputs alone, in this order; zeros for `None`.
    ///
    /// # Shapes
    /// - `outputs`: indices below `d_out`
    pub(crate) fn picked_outputs(&self, outputs: &[Option<usize>]) -> Self {
        Self {
            name: self.name.clone(),
            weight: picked(&self.weight, COLUMNS, outputs),
            bias: self.bias.as_ref().map(|bias| picked_entries(bias, outputs)),
            adapter: self.adapter.as_ref().map(|adapter| LowRank {
                down: adapter.down.clone(),
                up: picked(&adapter.up, COLUMNS, outputs),
            }),
            tap: self.tap.clone(),
        }
    }

    /// These inputs alone, in this order; zeros for `None`.
    ///
    /// # Shapes
    /// - `inputs`: indices below `d_in`
    pub(crate) fn picked_inputs(&self, inputs: &[Option<usize>]) -> Self {
        Self {
            name: self.name.clone(),
            weight: picked(&self.weight, ROWS, inputs),
            bias: self.bias.clone(),
            adapter: self.adapter.as_ref().map(|adapter| LowRank {
                down: picked(&adapter.down, ROWS, inputs),
                up: adapter.up.clone(),
            }),
            tap: self.tap.clone(),
        }
    }
}

const ROWS: usize = 0;
pub(super) const COLUMNS: usize = 1;

/// Rows or columns of a matrix, zeros for `None`.
pub(super) fn picked(matrix: &Tensor<2>, axis: usize, entries: &[Option<usize>]) -> Tensor<2> {
    let mut shape = matrix.dims();
    let length = std::mem::replace(&mut shape[axis], 1);
    let with_zeros = || {
        let zeros = Tensor::zeros(shape, &matrix.device());
        Tensor::cat(vec![matrix.clone(), zeros], axis)
    };
    let from = if entries.contains(&None) { with_zeros() } else { matrix.clone() };
    let indices: Vec<i64> = entries.iter().map(|entry| entry.unwrap_or(length) as i64).collect();
    let indices: Tensor<1, Int> =
        Tensor::from_data(TensorData::new(indices, [entries.len()]), &matrix.device());
    from.select(axis, indices)
}

/// Entries of a vector, zeros for `None`.
pub(super) fn picked_entries(vector: &Tensor<1>, entries: &[Option<usize>]) -> Tensor<1> {
    picked(&vector.clone().unsqueeze(), COLUMNS, entries).reshape([entries.len()])
}
