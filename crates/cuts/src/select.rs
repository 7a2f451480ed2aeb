//! The largest of a pool, ties to the lowest index.

/// Marks the `k` largest scores of a pool. An entry of score −∞ is never kept, so fewer than `k` may stay.
///
/// # Shapes
/// - `scores`, `kept`: `[pool]`, no NaN
pub(crate) fn keep_largest(scores: &[f64], k: usize, kept: &mut [bool]) {
    if k >= scores.len() {
        for (kept, score) in kept.iter_mut().zip(scores) {
            *kept = *score > f64::NEG_INFINITY;
        }
        return;
    }
    if k == 0 {
        kept.fill(false);
        return;
    }
    let mut order = scores.to_vec();
    let (larger, least, _) = order.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    let least = *least;
    // Of those that equal the least kept one, so many stay.
    let mut ties = 1 + larger.iter().filter(|score| **score == least).count();
    for (kept, score) in kept.iter_mut().zip(scores) {
        let tied = *score == least && ties > 0;
        ties -= usize::from(tied);
        *kept = (*score > least || tied) && *score > f64::NEG_INFINITY;
    }
}

/// The same within every `m` neighbours.
///
/// # Shapes
/// - `scores`, `kept`: `[inputs]`, a multiple of `m`
pub(crate) fn keep_n_of_m(scores: &[f64], [n, m]: [usize; 2], kept: &mut [bool]) {
    for (scores, kept) in scores.chunks(m).zip(kept.chunks_mut(m)) {
        keep_largest(scores, n, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kept(scores: &[f64], k: usize) -> Vec<bool> {
        let mut kept = vec![true; scores.len()];
        keep_largest(scores, k, &mut kept);
        kept
    }

    #[test]
    fn ties_go_to_the_lowest_index() {
        assert_eq!(kept(&[1.0, 2.0, 1.0, 1.0], 2), [true, true, false, false]);
        assert_eq!(kept(&[0.0, 0.0, 0.0], 2), [true, true, false]);
        let low = f64::NEG_INFINITY;
        assert_eq!(kept(&[low, 1.0, low, 0.0], 3), [false, true, false, true]);
        assert_eq!(kept(&[low, 1.0], 2), [false, true]);
    }

    proptest! {
        /// A stable descending sort says the same.
        #[test]
        fn equals_a_sort(small in prop::collection::vec(0_u8..6, 1..40), k in 0_usize..45) {
            let scores: Vec<f64> = small.iter().map(|score| f64::from(*score)).collect();
            let mut order: Vec<usize> = (0..scores.len()).collect();
            order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
            let mut expected = vec![false; scores.len()];
            order.into_iter().take(k).for_each(|index| expected[index] = true);
            prop_assert_eq!(kept(&scores, k), expected);
        }
    }
}
