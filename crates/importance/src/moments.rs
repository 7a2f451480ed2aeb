//! The sums over tokens that the scores of neurons are made of: two for all that a forward pass gives, two
//! for gradients.

use vector::add_moments;

/// `Σ_t |h_ti|` and `Σ_t h_ti²` for every neuron of a site, in `f64`, tokens added in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    /// `Σ_t |h_ti|`, one entry a neuron.
    pub magnitude: Vec<f64>,
    /// `Σ_t h_ti²`, one entry a neuron.
    pub energy: Vec<f64>,
    /// Number of tokens.
    pub tokens: u64,
    /// `Σ_t g_ti·h_ti` with `g = ∂(mean NLL)/∂h`, one entry a neuron; empty where no gradient was taken.
    pub slope: Vec<f64>,
    /// `Σ_t (g_ti·h_ti)²`, in the same way.
    pub slope_squared: Vec<f64>,
}

impl Moments {
    /// Of no token.
    pub fn new(neurons: usize) -> Self {
        let zeros = vec![0.0; neurons];
        Self { magnitude: zeros.clone(), energy: zeros, ..Self::default() }
    }

    /// Forgets all tokens.
    pub fn clear(&mut self) {
        self.magnitude.fill(0.0);
        self.energy.fill(0.0);
        self.slope.fill(0.0);
        self.slope_squared.fill(0.0);
        self.tokens = 0;
    }

    /// Adds tokens.
    ///
    /// # Shapes
    /// - `h`: `[tokens, F]`
    pub fn add(&mut self, h: &[f32]) {
        add_moments(h, &mut self.magnitude, &mut self.energy);
        self.tokens += (h.len() / self.magnitude.len()) as u64;
    }

    /// Adds the sums of other tokens.
    pub fn merge(&mut self, other: &Self) {
        let sums =
            [&mut self.magnitude, &mut self.energy, &mut self.slope, &mut self.slope_squared];
        let more = [&other.magnitude, &other.energy, &other.slope, &other.slope_squared];
        for (sums, more) in sums.into_iter().zip(more) {
            sums.iter_mut().zip(more).for_each(|(a, b)| *a += b);
        }
        self.tokens += other.tokens;
    }
}

#[cfg(test)]
mod tests {
    use super::Moments;

    #[test]
    fn sums_by_hand() {
        let mut moments = Moments::new(2);
        moments.add(&[1.0, -2.0, -3.0, 0.5]);
        assert_eq!(moments.magnitude, [4.0, 2.5]);
        assert_eq!(moments.energy, [10.0, 4.25]);
        assert_eq!(moments.tokens, 2);
    }

    /// Sums over two halves of a text add up.
    #[test]
    fn halves_add_up() {
        let h: Vec<f32> = (0..60).map(|i| (i as f32 - 30.0) / 8.0).collect();
        let (mut whole, mut first, mut second) =
            (Moments::new(6), Moments::new(6), Moments::new(6));
        whole.add(&h);
        first.add(&h[..24]);
        second.add(&h[24..]);
        first.merge(&second);
        assert_eq!(whole, first);
    }
}
