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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::{Magnitude, Needs, Obd, Random, Wanda, WeightMethod};

    const COLUMNS: usize = 12;

    fn matrix(values: &[f32]) -> Matrix {
        let rows = values.len() / COLUMNS;
        Matrix { name: Arc::from("m.weight"), rows, columns: COLUMNS, values: values.to_vec() }
    }

    fn left(score: &'static dyn WeightScore, pattern: Pattern, values: &[f32]) -> Vec<f32> {
        // Every input is as large as every other.
        let mut gram = Gram::new(COLUMNS, 2, Needs::Norms);
        for token in [1.5_f32, -0.5, 2.0] {
            gram.add(&[token; COLUMNS]);
        }
        let how = WeightCut { seed: 7, ..WeightCut::new(WeightMethod::Score(score), pattern) };
        cut(matrix(values), Some(&gram), score, &how).unwrap().values
    }

    proptest! {
        /// Where all inputs have one norm, Wanda ranks by size.
        #[test]
        fn wanda_with_equal_norms_is_magnitude_within_rows(
            values in prop::collection::vec(-4_i8..5, 4 * COLUMNS),
            share in 0_u32..10,
        ) {
            let values: Vec<f32> = values.into_iter().map(|value| f32::from(value) / 4.0).collect();
            let pattern = Pattern::Share(f64::from(share) / 10.0);
            let wanda = left(&Wanda, pattern, &values);
            prop_assert_eq!(wanda, left(&Magnitude(Pool::Row), pattern, &values));
        }

        /// Of every m neighbours at most n stay, and n where none was zero.
        #[test]
        fn patterns_keep_n_of_every_m(
            values in prop::collection::vec(1_u8..255, 4 * COLUMNS),
            which in 0_usize..4,
            pattern in 0_usize..4,
        ) {
            let values: Vec<f32> = values.into_iter().map(|value| f32::from(value) - 127.5).collect();
            let scores: [&'static dyn WeightScore; 4] = [&Magnitude(Pool::Row), &Wanda, &Obd, &Random];
            let (n, m) = [(2, 4), (1, 2), (1, 4), (3, 6)][pattern];
            let left = left(scores[which], Pattern::NofM { n, m }, &values);
            for group in left.chunks(m) {
                prop_assert_eq!(group.iter().filter(|value| **value != 0.0).count(), n);
            }
            // What stays is as it was.
            prop_assert!(left.iter().zip(&values).all(|(left, value)| *left == 0.0 || left == value));
        }
    }
}
