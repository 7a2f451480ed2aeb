//! `rtn`: every weight to the nearest point of its group's grid, as it is.

use rayon::prelude::*;

use super::Grid;
use crate::{Matrix, Rounding};

/// Rounds a matrix. Zeros stay zero, since zero is a point of every grid.
pub(crate) fn round(mut matrix: Matrix, Rounding { bits, group }: Rounding) -> Matrix {
    matrix.values.par_chunks_mut(matrix.columns).for_each(|row| {
        for group in row.chunks_mut(group) {
            let grid = Grid::of(group.iter().map(|weight| f64::from(*weight)), bits);
            for weight in group {
                *weight = grid.round(f64::from(*weight)) as f32;
            }
        }
    });
    matrix
}
