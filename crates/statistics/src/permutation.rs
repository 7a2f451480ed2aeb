//! Permutation test of paired values: could the mean difference be a matter of signs?

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::StatisticsError;
use crate::error::check_finite;

/// Up to this many pairs all assignments of signs (65,536) are visited.
const ENUMERATED_PAIRS: usize = 16;
/// Signs that one random number holds.
const SIGNS_A_WORD: usize = 64;

/// How the signs are drawn where there are too many pairs to visit all assignments. There are no
/// defaults; the same plan on the same differences gives the same p-value on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PermutationPlan {
    /// Number of random assignments, at least 1; the smallest p-value is `1/(permutations + 1)`.
    pub permutations: u64,
    /// Seed of the ChaCha generator.
    pub seed: u64,
}

impl PermutationPlan {
    /// The least p-value that [`sign_flip_test`] can reach with so many pairs under this plan, when
    /// all differences have the same sign: `2^(1-n)` where all assignments are visited, beyond that
    /// `1/(permutations + 1)`; 1 without pairs.
    pub fn least_p(self, pairs: usize) -> f64 {
        if pairs <= ENUMERATED_PAIRS {
            (2.0 / (1_u64 << pairs) as f64).min(1.0)
        } else {
            1.0 / (1 + self.permutations) as f64
        }
    }
}

/// Outcome of a sign-flip test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignFlip {
    /// Mean of the differences as observed.
    pub mean: f64,
    /// Two-sided p-value.
    pub p: f64,
    /// Whether all assignments of signs were visited, so that `p` has no random error.
    pub exact: bool,
}

/// Two-sided sign-flip test of "the differences are symmetric about 0", with the mean as statistic.
///
/// `differences` are second minus first on the same item. If nothing tells the two apart, each
/// difference could as well have had the other sign, so the p-value is the share of assignments of
/// signs whose mean is at least as far from 0 as the observed one:
///
/// ```text
/// n ≤ 16:     p = #{ |Σ sᵢdᵢ| ≥ |Σ dᵢ| } / 2ⁿ                 all assignments s
/// otherwise:  p = (1 + #{ |Σ sᵢdᵢ| ≥ |Σ dᵢ| }) / (1 + m)      m random assignments
/// ```
///
/// Fisher 1935, "The Design of Experiments", section 21; counting the observed assignment among the
/// random ones keeps the test's level: Phipson & Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9, 39.
/// Sums that differ by no more than their roundings count as equal. Differences that are all 0 give
/// 1, and so does a single difference; with `n` pairs no p-value is below `2^(1-n)`.
///
/// # Errors
/// [`StatisticsError::Empty`] without differences, [`StatisticsError::NotFinite`], and
/// [`StatisticsError::OutOfRange`] for zero permutations, however many pairs there are.
pub fn sign_flip_test(
    differences: &[f64],
    plan: PermutationPlan,
) -> Result<SignFlip, StatisticsError> {
    if differences.is_empty() {
        return Err(StatisticsError::Empty { what: "set of differences" });
    }
    check_finite("difference", differences.iter().copied())?;
    if plan.permutations == 0 {
        let (what, expected) = ("number of permutations", "at least 1");
        return Err(StatisticsError::OutOfRange { what, value: 0.0, expected });
    }
    // Each divided first: a sum of large differences may not fit where their mean does.
    let count = differences.len() as f64;
    let shares: Vec<f64> = differences.iter().map(|difference| difference / count).collect();
    let mean: f64 = shares.iter().sum();
    let rounding = count * f64::EPSILON * shares.iter().map(|share| share.abs()).sum::<f64>();
    let is_as_far = |flipped: f64| flipped.abs() >= mean.abs() - rounding;
    let exact = differences.len() <= ENUMERATED_PAIRS;
    let p = if exact {
        let assignments = 1_u64 << differences.len();
        let as_far = (0..assignments).filter(|&signs| is_as_far(flipped_sum(&shares, [signs])));
        as_far.count() as f64 / assignments as f64
    } else {
        let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
        let as_far = (0..plan.permutations).filter(|_| {
            let words = std::iter::repeat_with(|| rng.next_u64());
            is_as_far(flipped_sum(&shares, words))
        });
        (1 + as_far.count()) as f64 / (1 + plan.permutations) as f64
    };
    Ok(SignFlip { mean, p, exact })
}

/// `Σ ±values`; a set bit of `words` turns a sign, 64 values a word from the lowest bit up.
fn flipped_sum(values: &[f64], words: impl IntoIterator<Item = u64>) -> f64 {
    let flip = |(position, value): (usize, &f64), word: u64| {
        if word >> position & 1 == 1 { -value } else { *value }
    };
    let chunks = values.chunks(SIGNS_A_WORD).zip(words);
    chunks
        .flat_map(|(chunk, word)| chunk.iter().enumerate().map(move |item| flip(item, word)))
        .sum()
}
