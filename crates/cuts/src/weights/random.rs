//! `random`: the control. Every entry has a number of its own, whatever the share, so what is kept of a lower
//! one holds what is kept of a higher one.

use super::{Pool, ScoredRow, WeightScore};
use crate::Needs;

/// Uniform numbers in `[0, 1)`, by seed, name and place of the matrix entry; pooled over the matrix.
pub struct Random;

impl WeightScore for Random {
    fn needs(&self) -> Needs {
        Needs::Nothing
    }

    fn pool(&self) -> Pool {
        Pool::Matrix
    }

    fn score(&self, row: &ScoredRow<'_>, scores: &mut [f64]) {
        let key = mixed(row.seed ^ mixed(hash(row.name)));
        let first = (row.row * row.weights.len()) as u64;
        for (score, place) in scores.iter_mut().zip(first..) {
            // SplitMix64 (Steele, Lea & Flood 2014) is a counter with `mixed` over it: a place can be asked
            // by itself.
            let bits = mixed(key.wrapping_add((place + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)));
            *score = (bits >> 11) as f64 / (1_u64 << 53) as f64;
        }
    }
}

/// FNV-1a of a name.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

/// The finaliser of SplitMix64.
fn mixed(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(seed: u64, name: &str, row: usize) -> Vec<f64> {
        let weights = [0.0; 1000];
        let mut scores = vec![0.0; weights.len()];
        let row = ScoredRow { name, row, weights: &weights, squares: &[], sequences: 0, seed };
        Random.score(&row, &mut scores);
        scores
    }

    #[test]
    fn the_first_words_are_those_of_splitmix() {
        // The published sequence of seed 0.
        let word = |n: u64| mixed(n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        assert_eq!(word(1), 0xE220_A839_7B1D_CDAF);
        assert_eq!(word(2), 0x6E78_9E6A_A1B9_65F4);
        assert_eq!(hash("a"), 0xAF63_DC4C_8601_EC8C);
    }

    #[test]
    fn a_place_has_its_number() {
        let here = scores(1, "h.0.weight", 2);
        assert_eq!(here, scores(1, "h.0.weight", 2));
        for other in
            [scores(2, "h.0.weight", 2), scores(1, "h.1.weight", 2), scores(1, "h.0.weight", 3)]
        {
            assert!(here.iter().zip(other).all(|(a, b)| *a != b));
        }
        let mean = here.iter().sum::<f64>() / here.len() as f64;
        // The mean of 1000 uniform numbers has a standard deviation of .0091.
        assert!((mean - 0.5).abs() < 0.04, "{mean}");
        assert!(here.iter().all(|score| (0.0..1.0).contains(score)));
    }
}
