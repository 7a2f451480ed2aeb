//! `sparsegpt`: what is dropped is made up for by what stays (Frantar & Alistarh 2023, arXiv:2301.00774).

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
