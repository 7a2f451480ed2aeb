//! Sums over the inputs of a matrix, in f64: all that a method asks of a calibration text.

use std::ops::Range;

use faer::{Accum, Mat, MatMut, MatRef, Par, linalg::matmul::matmul};
use rayon::prelude::*;

/// Side of the tiles of XᵀX. Each is added up by itself, so the bits do not depend on the number of threads.
const TILE: usize = 128;

/// What a method wants to know of inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// Nothing: the model is not run.
    Nothing,
    /// Σ x_j² of every input.
    Norms,
    /// XᵀX.
    Products,
}

/// `XᵀX`, or its diagonal alone, of the inputs `X` of a matrix: one row a calibration token.
#[derive(Clone, Debug)]
pub struct Gram {
    width: usize,
    sequences: usize,
    sums: Sums,
}

#[derive(Clone, Debug)]
enum Sums {
    Diagonal(Vec<f64>),
    /// Tiles on and below the diagonal, row after row of them; each row-major.
    Tiles(Vec<Vec<f64>>),
}

impl Gram {
    /// Of no token yet, of a calibration text of so many sequences.
    pub fn new(width: usize, sequences: usize, needs: Needs) -> Self {
        let sums = match needs {
            Needs::Products => Sums::Tiles(
                places(width)
                    .map(|[rows, columns]| vec![0.0; rows.len() * columns.len()])
                    .collect(),
            ),
            Needs::Nothing | Needs::Norms => Sums::Diagonal(vec![0.0; width]),
        };
        Self { width, sequences, sums }
    }

    /// Inputs of the matrix.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Sequences of the calibration text.
    pub fn sequences(&self) -> usize {
        self.sequences
    }

    /// Adds the inputs of more tokens.
    ///
    /// # Shapes
    /// - `x`: `[tokens, width]`, row-major
    pub fn add(&mut self, x: &[f32]) {
        let width = self.width;
        match &mut self.sums {
            Sums::Diagonal(sums) => {
                for row in x.chunks_exact(width) {
                    for (sum, x) in sums.iter_mut().zip(row) {
                        *sum += f64::from(*x) * f64::from(*x);
                    }
                }
            }
            Sums::Tiles(tiles) => {
                let mut wide = vec![0.0; x.len()];
                wide.par_chunks_mut(1 << 14).zip(x.par_chunks(1 << 14)).for_each(|(wide, x)| {
                    for (wide, x) in wide.iter_mut().zip(x) {
                        *wide = f64::from(*x);
                    }
                });
                let x = MatRef::from_row_major_slice(&wide, wide.len() / width, width);
                let places: Vec<_> = places(width).collect();
                tiles.par_iter_mut().zip(places).for_each(|(tile, [rows, columns])| {
                    let of = |range: &Range<usize>| x.subcols(range.start, range.len());
                    let tile = MatMut::from_row_major_slice_mut(tile, rows.len(), columns.len());
                    matmul(tile, Accum::Add, of(&rows).transpose(), of(&columns), 1.0, Par::Seq);
                });
            }
        }
    }

    /// Σ x_j² of every input, `[width]`.
    pub fn squares(&self) -> Vec<f64> {
        match &self.sums {
            Sums::Diagonal(sums) => sums.clone(),
            Sums::Tiles(tiles) => {
                let diagonal = places(self.width).zip(tiles).filter(|([r, c], _)| r == c);
                diagonal.flat_map(|(_, tile)| diagonal_of(tile)).collect()
            }
        }
    }

    /// `XᵀX`, `[width, width]`; zero off the diagonal where only that was asked for.
    pub fn products(&self) -> Mat<f64> {
        let mut products = Mat::zeros(self.width, self.width);
        match &self.sums {
            Sums::Diagonal(sums) => {
                for (i, sum) in sums.iter().enumerate() {
                    products[(i, i)] = *sum;
                }
            }
            Sums::Tiles(tiles) => {
                for ([rows, columns], tile) in places(self.width).zip(tiles) {
                    for (row, tile) in rows.zip(tile.chunks_exact(columns.len())) {
                        for (column, product) in columns.clone().zip(tile) {
                            products[(row, column)] = *product;
                            products[(column, row)] = *product;
                        }
                    }
                }
            }
        }
        products
    }

    /// Whether all sums are finite.
    pub(crate) fn is_finite(&self) -> bool {
        // Where an entry overflows, so does one of the diagonal: 2·|x_i·x_j| ≤ x_i² + x_j².
        self.squares().iter().all(|sum| sum.is_finite())
    }
}

/// Rows and columns of every tile on and below the diagonal.
fn places(width: usize) -> impl Iterator<Item = [Range<usize>; 2]> {
    let range = move |tile: usize| tile * TILE..((tile + 1) * TILE).min(width);
    (0..width.div_ceil(TILE)).flat_map(move |i| (0..=i).map(move |j| [range(i), range(j)]))
}

fn diagonal_of(tile: &[f64]) -> impl Iterator<Item = f64> + '_ {
    let side = tile.len().isqrt();
    (0..side).map(move |i| tile[i * side + i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use vector::largest;

    /// Wider than a tile, in two pieces, against the sum written out.
    #[test]
    fn products_are_those_of_the_sum() {
        let (tokens, width) = (7, TILE + 37);
        let x: Vec<f32> =
            (0..tokens * width).map(|i| ((i * 31 + 7) % 23) as f32 / 11.0 - 1.0).collect();
        let mut gram = Gram::new(width, 2, Needs::Products);
        let mut norms = Gram::new(width, 2, Needs::Norms);
        for piece in x.chunks(4 * width) {
            gram.add(piece);
            norms.add(piece);
        }
        let product = |i: usize, j: usize| -> f64 {
            x.chunks_exact(width).map(|row| f64::from(row[i]) * f64::from(row[j])).sum()
        };
        let found = gram.products();
        let all = (0..width).flat_map(|i| (0..width).map(move |j| (i, j)));
        assert!(largest(all.map(|(i, j)| (found[(i, j)] - product(i, j)).abs())) < 1e-12);
        let squares: Vec<f64> = (0..width).map(|i| product(i, i)).collect();
        assert!(vector::worst(&gram.squares(), &squares) < 1e-12);
        assert!(vector::worst(&norms.squares(), &squares) < 1e-12);
        assert!(gram.is_finite());
        gram.add(&vec![f32::INFINITY; width]);
        assert!(!gram.is_finite());
    }
}
