//! Sums of products of two factors over many rows, in `f64` and in an order that no number of threads
//! changes.

use faer::{Accum, Mat, MatMut, MatRef, Par, linalg::matmul::matmul};
use rayon::prelude::*;

/// Columns of the result that a task adds up: the same whatever the number of threads.
const COLUMNS_PER_TASK: usize = 64;

/// `AᵀB` over rows that come piece by piece; [`Gram`](crate::Gram) is that of a factor with itself.
#[derive(Clone, Debug)]
pub(crate) struct CrossProducts {
    rows: usize,
    columns: usize,
    /// `[rows, columns]`, column-major.
    values: Vec<f64>,
}

impl CrossProducts {
    /// Of factors with so many columns.
    pub(crate) fn new(rows: usize, columns: usize) -> Self {
        Self { rows, columns, values: vec![0.0; rows * columns] }
    }

    /// Adds the products of some rows.
    ///
    /// # Shapes
    /// - `left`: `[n, rows]`
    /// - `right`: `[n, columns]`
    pub(crate) fn add(&mut self, left: &[f64], right: &[f64]) {
        let n = left.len() / self.rows;
        let left = MatRef::from_row_major_slice(left, n, self.rows);
        let right = MatRef::from_row_major_slice(right, n, self.columns);
        let rows = self.rows;
        let tasks = self.values.par_chunks_mut(rows * COLUMNS_PER_TASK).enumerate();
        tasks.for_each(|(task, sums)| {
            let width = sums.len() / rows;
            let sums = MatMut::from_column_major_slice_mut(sums, rows, width);
            let right = right.subcols(task * COLUMNS_PER_TASK, width);
            matmul(sums, Accum::Add, left.transpose(), right, 1.0, Par::Seq);
        });
    }

    /// The whole sum, `[rows, columns]`.
    pub(crate) fn matrix(&self) -> Mat<f64> {
        MatRef::from_column_major_slice(&self.values, self.rows, self.columns).to_owned()
    }
}

/// Adds every row to the sums.
///
/// # Shapes
/// - `sums`: `[width]`
/// - `values`: `[n, width]`
pub(crate) fn add_rows(sums: &mut [f64], values: impl IntoIterator<Item = f64>) {
    let width = sums.len();
    for (i, value) in values.into_iter().enumerate() {
        sums[i % width] += value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vector::largest;

    #[test]
    fn sums_are_those_of_plain_loops() {
        let rows = |n: usize, salt: usize| -> Vec<f64> {
            (0..n).map(|i| ((i * 31 + salt) % 29) as f64 / 14.0 - 1.0).collect()
        };
        let (n, p, q) = (17, 70, 131);
        let (a, b) = (rows(n * p, 1), rows(n * q, 2));
        let mut sums = CrossProducts::new(p, q);
        for t in [0..5, 5..n] {
            sums.add(&a[t.start * p..t.end * p], &b[t.start * q..t.end * q]);
        }
        let found = sums.matrix();
        let plain =
            |i: usize, j: usize| -> f64 { (0..n).map(|t| a[t * p + i] * b[t * q + j]).sum() };
        let all = (0..p).flat_map(|i| (0..q).map(move |j| (i, j)));
        assert!(largest(all.map(|(i, j)| (found[(i, j)] - plain(i, j)).abs())) < 1e-12);
        let mut columns = vec![0.0; q];
        add_rows(&mut columns, b.iter().copied());
        let expected: Vec<f64> = (0..q).map(|j| (0..n).map(|t| b[t * q + j]).sum()).collect();
        assert!(vector::worst(&columns, &expected) < 1e-12);
    }
}
