//! A weight matrix as plain numbers, one row an output, and back into a model.

use std::sync::Arc;

use models::{Linear, MatrixUse, Values, matrix};

/// Side of the tiles in which matrices are turned, so that both sides stay in the cache.
const TILE: usize = 32;

/// A matrix `W` of a checkpoint, all parts of it below each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Its name in the checkpoint.
    pub name: Arc<str>,
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub columns: usize,
    /// `[rows, columns]`, row-major.
    pub values: Vec<f32>,
}

impl Matrix {
    /// What a layer uses.
    pub fn of(of: &MatrixUse<'_>) -> Self {
        let (columns, rows) = of.widths();
        let mut values = vec![0.0; rows * columns];
        let mut rest = &mut values[..];
        for part in &of.parts {
            let width = part.widths().1;
            let (here, after) = rest.split_at_mut(width * columns);
            turn(&Values::of(part.weight.clone()), [columns, width], here);
            rest = after;
        }
        Self { name: of.name().clone(), rows, columns, values }
    }

    /// The parts that a model takes it in, with the biases, adapters and devices of those that it replaces.
    pub fn into_parts(self, of: &MatrixUse<'_>) -> Vec<Linear> {
        let mut rest = &self.values[..];
        let parts = of.parts.iter().map(|part| {
            let width = part.widths().1;
            let (here, after) = rest.split_at(width * self.columns);
            rest = after;
            let mut turned = vec![0.0; here.len()];
            turn(here, [width, self.columns], &mut turned);
            let weight = matrix(turned, [self.columns, width], &part.weight.device());
            Linear { weight, ..(*part).clone() }
        });
        parts.collect()
    }

    /// The weights of an output.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..][..self.columns]
    }
}

/// The transpose of `[rows, columns]`.
fn turn(from: &[f32], [rows, columns]: [usize; 2], to: &mut [f32]) {
    for row_tile in (0..rows).step_by(TILE) {
        for column_tile in (0..columns).step_by(TILE) {
            for row in row_tile..(row_tile + TILE).min(rows) {
                for column in column_tile..(column_tile + TILE).min(columns) {
                    to[column * rows + row] = from[row * columns + column];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::{Device, into_values};

    #[test]
    fn parts_come_back_as_they_were() {
        let values = |n: usize, salt| (0..n).map(|i| (i * 7 + salt) as f32).collect::<Vec<f32>>();
        let parts = [40, 3].map(|width| {
            let weight = matrix(values(35 * width, width), [35, width], &Device::flex());
            Linear::new("both", weight, None)
        });
        let of = MatrixUse { layer: 0, input: 0, parts: parts.iter().collect() };
        let whole = Matrix::of(&of);
        assert_eq!((whole.rows, whole.columns), (43, 35));
        let last = into_values(parts[1].weight.clone());
        assert_eq!(whole.row(41)[..3], [last[1], last[4], last[7]]);
        for (back, part) in whole.into_parts(&of).into_iter().zip(parts) {
            assert_eq!(into_values(back.weight), into_values(part.weight));
        }
    }
}
