//! Cuts that drop the entries of least score and leave the others as they are.

use rayon::prelude::*;

use super::{Pool, ScoredRow, WeightCut, WeightScore};
use crate::{
    CutError, Gram, Matrix, Pattern, kept_count,
    select::{keep_largest, keep_n_of_m},
};

/// A matrix without the entries that lose in their pool. A zero of an earlier step scores 0 at most and
/// stays what it is, kept or not.
pub(super) fn cut(
    mut matrix: Matrix,
    gram: Option<&Gram>,
    score: &dyn WeightScore,
    cut: &WeightCut,
) -> Result<Matrix, CutError> {
    let squares = gram.map(Gram::squares).unwrap_or_default();
    let sequences = gram.map_or(0, Gram::sequences);
    let columns = matrix.columns;
    let name = matrix.name.clone();
    let scored = |row: usize, weights: &[f32], scores: &mut [f64]| {
        let row =
            ScoredRow { name: &name, row, weights, squares: &squares, sequences, seed: cut.seed };
        score.score(&row, scores);
        // What was gone is gone: whatever the score says of a place, it holds nothing.
        for (score, weight) in scores.iter_mut().zip(weights) {
            if *weight == 0.0 {
                *score = 0.0;
            }
        }
        match scores.iter().all(|score| score.is_finite()) {
            true => Ok(()),
            false => Err(CutError::NonFinite { matrix: name.to_string(), what: "a score" }),
        }
    };
    let rows = matrix.values.par_chunks_mut(columns).enumerate();
    match (cut.pattern, score.pool()) {
        (Pattern::Share(share), Pool::Matrix | Pool::Model) => {
            let mut scores = vec![0.0; matrix.values.len()];
            let rows = matrix.values.par_chunks(columns).zip(scores.par_chunks_mut(columns));
            rows.enumerate()
                .try_for_each(|(row, (weights, scores))| scored(row, weights, scores))?;
            let mut kept = vec![false; scores.len()];
            keep_largest(&scores, kept_count(scores.len(), share), &mut kept);
            clear(&mut matrix.values, &kept);
        }
        (pattern, _) => rows.try_for_each(|(row, weights)| {
            let (mut scores, mut kept) = (vec![0.0; columns], vec![false; columns]);
            scored(row, weights, &mut scores)?;
            match pattern {
                Pattern::Share(share) => {
                    keep_largest(&scores, kept_count(columns, share), &mut kept)
                }
                Pattern::NofM { n, m } => keep_n_of_m(&scores, [n, m], &mut kept),
            }
            clear(weights, &kept);
            Ok::<(), CutError>(())
        })?,
    }
    Ok(matrix)
}

fn clear(weights: &mut [f32], kept: &[bool]) {
    for (weight, kept) in weights.iter_mut().zip(kept) {
        if !kept {
            *weight = 0.0;
        }
    }
}
