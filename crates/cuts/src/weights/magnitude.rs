//! `magnitude`: |W_ij|, over the matrix, over the whole model, or within each output (Han et al. 2015,
//! arXiv:1506.02626; the baseline of Wanda).

use super::{Pool, ScoredRow, WeightScore};
use crate::Needs;

/// `|W_ij|`; the pool is what tells the three methods apart.
pub struct Magnitude(pub Pool);

impl WeightScore for Magnitude {
    fn needs(&self) -> Needs {
        Needs::Nothing
    }

    fn pool(&self) -> Pool {
        self.0
    }

    fn score(&self, row: &ScoredRow<'_>, scores: &mut [f64]) {
        for (score, weight) in scores.iter_mut().zip(row.weights) {
            *score = f64::from(weight.abs());
        }
    }
}
