//! `wanda`: a weight matters as much as what it is multiplied with (Sun et al. 2023, arXiv:2306.11695).

use super::{Pool, ScoredRow, WeightScore};
use crate::Needs;

/// `|W_ij|·‖X_j‖₂`, within each output.
pub struct Wanda;

impl WeightScore for Wanda {
    fn needs(&self) -> Needs {
        Needs::Norms
    }

    fn pool(&self) -> Pool {
        Pool::Row
    }

    fn score(&self, row: &ScoredRow<'_>, scores: &mut [f64]) {
        for ((score, weight), square) in scores.iter_mut().zip(row.weights).zip(row.squares) {
            *score = f64::from(weight.abs()) * square.sqrt();
        }
    }
}
