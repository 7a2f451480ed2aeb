//! `sparsegpt`: what is dropped is made up for by what stays (Frantar & Alistarh 2023, arXiv:2301.00774).
//! `sparsegpt-mask`: the same is dropped of a matrix, and nothing makes up for it; what the two differ by is
//! what the update is worth.

use rayon::prelude::*;

use super::WeightCut;
use crate::{CutError, Gram, Matrix, factor::Factor, sweep::Sweep};

/// Sweeps over the matrices that read one input, which share the second derivatives.
pub(super) fn cut(
    matrices: Vec<Matrix>,
    gram: &Gram,
    cut: &WeightCut,
    zeros_stay: &(dyn Fn(&str) -> bool + Sync),
) -> Result<Vec<Matrix>, CutError> {
    let factor = Factor::of(gram)
        .ok_or_else(|| CutError::Indefinite { matrix: matrices[0].name.to_string() })?;
    let swept = matrices.into_par_iter().map(|matrix| {
        let sweep = Sweep {
            factor: &factor,
            pattern: Some(cut.pattern),
            rounding: cut.rounding,
            zeros_stay: zeros_stay(&matrix.name),
        };
        sweep.run(&matrix)
    });
    swept.collect()
}

/// The matrices without the entries that the sweep drops, which it chooses by weights that are updated on
/// the way; the others as they were.
pub(super) fn mask(
    mut matrices: Vec<Matrix>,
    gram: &Gram,
    how: &WeightCut,
    zeros_stay: &(dyn Fn(&str) -> bool + Sync),
) -> Result<Vec<Matrix>, CutError> {
    let swept = cut(matrices.clone(), gram, how, zeros_stay)?;
    for (matrix, swept) in matrices.iter_mut().zip(swept) {
        for (weight, swept) in matrix.values.iter_mut().zip(swept.values) {
            if swept == 0.0 {
                *weight = 0.0;
            }
        }
    }
    Ok(matrices)
}
