//! Sums of outer products over many rows, in `f64` and in an order that no number of threads changes.

use faer::{
    Accum, Mat, MatMut, MatRef, Par,
    linalg::matmul::matmul,
};
use rayon::prelude::*;

/// Columns of the result that a task adds up: the same whatever the number of threads.
const COLUMNS_PER_TASK: usize = 64;

/// `AᵀB` summed over rows that come piece by piece. Where `A` is `B` only what stands on or above the
/// diagonal is added up.
#[derive(Clone, Debug)]
pub(crate) struct ProductSum {
    rows: usize,
    columns: usize,
    symmetric: bool,
    /// `[rows, columns]`, column-major.
    values: Vec<f64>,
}

impl ProductSum {
    /// Of two different factors with so many columns.
    pub(crate) fn of_two(rows: usize, columns: usize) -> Self {
        Self { rows, columns, symmetric: false, values: vec![0.0; rows * columns] }
    }

    /// Of a factor with itself.
    pub(crate) fn of_one(columns: usize) -> Self {
        Self { symmetric: true, ..Self::of_two(columns, columns) }
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
        let (rows, symmetric) = (self.rows, self.symmetric);
        let tasks = self.values.par_chunks_mut(rows * COLUMNS_PER_TASK).enumerate();
        tasks.for_each(|(task, sums)| {
            let width = sums.len() / rows;
            let first = task * COLUMNS_PER_TASK;
            let upper = if symmetric { first + width } else { rows };
            let sums = MatMut::from_column_major_slice_mut(sums, rows, width);
            matmul(
                sums.subrows_mut(0, upper),
                Accum::Add,
                left.subcols(0, upper).transpose(),
                right.subcols(first, width),
                1.0,
                Par::Seq,
            );
        });
    }

    /// The whole sum.
    pub(crate) fn matrix(&self) -> Mat<f64> {
        let at = |i: usize, j: usize| self.values[j * self.rows + i];
        Mat::from_fn(self.rows, self.columns, |i, j| match self.symmetric && i > j {
            true => at(j, i),
            false => at(i, j),
        })
    }
}

/// Adds every row to the sums.
///
/// # Shapes
/// - `rows`: `[n, width]`
/// - `sums`: `[width]`
pub(crate) fn add_rows(sums: &mut [f64], rows: &[f64]) {
    for row in rows.chunks_exact(sums.len()) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(n: usize, salt: usize) -> Vec<f64> {
        (0..n).map(|i| ((i * 31 + salt) % 29) as f64 / 14.0 - 1.0).collect()
    }

    #[test]
    fn sums_are_those_of_plain_loops() {
        let (n, p, q) = (17, 70, 131);
        let (a, b) = (rows(n * p, 1), rows(n * q, 2));
        let plain = |a: &[f64], b: &[f64], p: usize, q: usize, i: usize, j: usize| -> f64 {
            (0..n).map(|t| a[t * p + i] * b[t * q + j]).sum()
        };
        let (mut two, mut one) = (ProductSum::of_two(p, q), ProductSum::of_one(q));
        for t in [0..5, 5..n] {
            let of = |values: &'_ [f64], width: usize| values[t.start * width..t.end * width].to_vec();
            two.add(&of(&a, p), &of(&b, q));
            one.add(&of(&b, q), &of(&b, q));
        }
        let (two, one) = (two.matrix(), one.matrix());
        for j in 0..q {
            for i in 0..p {
                assert!((two[(i, j)] - plain(&a, &b, p, q, i, j)).abs() < 1e-12);
            }
            for i in 0..q {
                assert!((one[(i, j)] - plain(&b, &b, q, q, i, j)).abs() < 1e-12);
            }
        }
    }
}
