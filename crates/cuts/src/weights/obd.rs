//! `obd`: the increase of the layer's squared error where one weight goes and nothing else changes, by the
//! diagonal of its second derivatives (LeCun, Denker & Solla 1990, layer by layer).

use super::{Pool, ScoredRow, WeightScore};
use crate::Needs;

/// `H_jj·W_ij²` with `H = (2/n)·XᵀX`, pooled over the matrix.
pub struct Obd;

impl WeightScore for Obd {
    fn needs(&self) -> Needs {
        Needs::Norms
    }

    fn pool(&self) -> Pool {
        Pool::Matrix
    }

    fn score(&self, row: &ScoredRow<'_>, scores: &mut [f64]) {
        let scale = 2.0 / row.sequences.max(1) as f64;
        for ((score, weight), square) in scores.iter_mut().zip(row.weights).zip(row.squares) {
            *score = scale * square * f64::from(*weight).powi(2);
        }
    }
}
