//! Seeded draws that do not depend on how the text is batched.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// Number of the first state site: those of feed-forward blocks, counted from 0, never get there.
const STATE_SITES: u64 = 1 << 32;
/// Number of the first attention.
const ATTENTION_SITES: u64 = 2 << 32;

/// Where a random score is drawn: the same place gives the same numbers in every run, whatever else
/// shares the batch and whatever the sparsity (so kept sets stay nested).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    seed: u64,
    site: u64,
    sequence: u64,
    window: u64,
}

impl Draw {
    /// One draw a site, for a static cut.
    pub fn of_site(seed: u64, site: usize) -> Self {
        Self { seed, site: site as u64, sequence: 0, window: 0 }
    }

    /// One draw a window; the sequence is known by its token ids.
    pub fn of_window(seed: u64, site: usize, sequence: u64, window: usize) -> Self {
        // 0 is the whole run's draw.
        Self { seed, site: site as u64, sequence, window: window as u64 + 1 }
    }

    /// One draw a state site, for a static cut.
    pub fn of_state_site(seed: u64, site: usize) -> Self {
        let ffn = Self::of_site(seed, site);
        Self { site: ffn.site + STATE_SITES, ..ffn }
    }

    /// One draw a window of a state site; the sequence is known by its token ids.
    pub fn of_state_window(seed: u64, site: usize, sequence: u64, window: usize) -> Self {
        let ffn = Self::of_window(seed, site, sequence, window);
        Self { site: ffn.site + STATE_SITES, ..ffn }
    }

    /// One draw an attention, for a static cut.
    pub fn of_attention_site(seed: u64, site: usize) -> Self {
        let ffn = Self::of_site(seed, site);
        Self { site: ffn.site + ATTENTION_SITES, ..ffn }
    }

    /// One draw a window of an attention; the sequence is known by its token ids.
    pub fn of_attention_window(seed: u64, site: usize, sequence: u64, window: usize) -> Self {
        let ffn = Self::of_window(seed, site, sequence, window);
        Self { site: ffn.site + ATTENTION_SITES, ..ffn }
    }

    /// A number that stands for a sequence of token ids.
    pub fn sequence_key(ids: &[u32]) -> u64 {
        let mut hash = Sha256::new();
        for id in ids {
            hash.update(id.to_le_bytes());
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut word = [0; 8];
        word.copy_from_slice(&digest[..8]);
        u64::from_le_bytes(word)
    }

    /// Uniform numbers in `[0, 1)`, one a neuron or channel (ChaCha8, keyed by the place).
    pub fn uniform(&self, n: usize) -> Vec<f64> {
        let mut key = [0; 32];
        let words = [self.seed, self.site, self.sequence, self.window];
        for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let mut rng = ChaCha8Rng::from_seed(key);
        (0..n).map(|_| rng.random::<f64>()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Draw;

    #[test]
    fn a_place_has_its_numbers() {
        let here = Draw::of_window(1, 2, 3, 4).uniform(5);
        assert_eq!(here, Draw::of_window(1, 2, 3, 4).uniform(5));
        assert_eq!(here[..3], Draw::of_window(1, 2, 3, 4).uniform(3)[..]);
        for other in [
            Draw::of_window(2, 2, 3, 4),
            Draw::of_window(1, 3, 3, 4),
            Draw::of_window(1, 2, 4, 4),
            Draw::of_window(1, 2, 3, 5),
            Draw::of_site(1, 2),
            Draw::of_state_window(1, 2, 3, 4),
            Draw::of_attention_window(1, 2, 3, 4),
            Draw::of_state_site(1, 2),
            Draw::of_attention_site(1, 2),
        ] {
            assert_ne!(here, other.uniform(5));
        }
    }

    #[test]
    fn sequences_differ() {
        assert_ne!(Draw::sequence_key(&[1, 2]), Draw::sequence_key(&[2, 1]));
    }
}
