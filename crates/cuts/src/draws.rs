//! Seeded numbers that depend on a seed and a place alone.

/// A stream of numbers of one place (SplitMix64: Steele, Lea & Flood 2014, section 5).
#[derive(Clone, Debug)]
pub(crate) struct Draws {
    state: u64,
}

/// Of SplitMix64: 2⁶⁴ over the golden ratio.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl Draws {
    /// Another place has other numbers under the same seed (its name is hashed by FNV-1a).
    pub(crate) fn new(seed: u64, place: &str) -> Self {
        let hash = place.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        Self { state: mixed(seed.wrapping_add(STEP)) ^ hash }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mixed(self.state)
    }

    /// In `[0, 1)`, 53 bits.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A standard normal number (Box & Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        // 1 − u is never zero.
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// `k` of the numbers below `n`, ascending: those that draw the largest.
    pub(crate) fn choice(&mut self, n: usize, k: usize) -> Vec<usize> {
        let draws: Vec<f64> = (0..n).map(|_| self.uniform()).collect();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| draws[*b].total_cmp(&draws[*a]));
        order.truncate(k);
        order.sort_unstable();
        order
    }
}

/// The finaliser of SplitMix64.
fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_its_numbers() {
        let numbers = |seed, place| {
            let mut random = Draws::new(seed, place);
            (0..4).map(|_| random.next()).collect::<Vec<_>>()
        };
        assert_eq!(numbers(1, "a"), numbers(1, "a"));
        assert_ne!(numbers(1, "a"), numbers(2, "a"));
        assert_ne!(numbers(1, "a"), numbers(1, "b"));
    }

    /// Moments of 20,000 draws: standard errors of .007, .010 and .035.
    #[test]
    fn normal_numbers_have_their_moments() {
        let mut random = Draws::new(3, "normal");
        let draws: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
        let moment = |p: i32| draws.iter().map(|d| d.powi(p)).sum::<f64>() / draws.len() as f64;
        assert!(moment(1).abs() < 0.03 && (moment(2) - 1.0).abs() < 0.04, "{}", moment(2));
        assert!(moment(3).abs() < 0.15 && (moment(4) - 3.0).abs() < 0.4, "{}", moment(4));
    }

    #[test]
    fn choices_are_of_their_size_and_nested() {
        let mut before = Vec::new();
        for k in 0..=9 {
            let choice = Draws::new(5, "choice").choice(9, k);
            assert_eq!(choice.len(), k);
            assert!(choice.is_sorted() && before.iter().all(|i| choice.contains(i)));
            before = choice;
        }
    }
}
