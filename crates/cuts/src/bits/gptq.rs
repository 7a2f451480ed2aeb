//! `gptq`: input by input to the nearest point, the error spread over the inputs that follow (Frantar et al.
//! 2022, arXiv:2210.17323); blocks of 128, no reordering.

use rayon::prelude::*;

use crate::{CutError, Gram, Matrix, Rounding, factor::Factor, sweep::Sweep};

/// Rounds the matrices that read one input.
pub(super) fn round(
    matrices: Vec<Matrix>,
    gram: &Gram,
    rounding: Rounding,
    zeros_stay: &(dyn Fn(&str) -> bool + Sync),
) -> Result<Vec<Matrix>, CutError> {
    let factor = Factor::of(gram)
        .ok_or_else(|| CutError::Indefinite { matrix: matrices[0].name.to_string() })?;
    let rounded = matrices.into_par_iter().map(|matrix| {
        let zeros_stay = zeros_stay(&matrix.name);
        let sweep = Sweep { factor: &factor, pattern: None, rounding: Some(rounding), zeros_stay };
        sweep.run(&matrix)
    });
    rounded.collect()
}
