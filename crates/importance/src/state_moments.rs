//! The sums over tokens that every score of a state channel is made of.

/// What the channels of one Mamba-2 state held and were read by, summed over tokens in `f64`, tokens added
/// in order. `E_t[g, n] = Σ_k Σ_p H_t[h_k, p, n]²` over the heads of group `g`; channels stand at `g·N + n`.
///
/// A mean over calibration sequences and tokens is a sum over `tokens`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateMoments {
    /// `Σ_t E_t·C'_t²`: what the outputs of all heads lose without the channel, squared. `[G·N]`.
    pub readout: Vec<f64>,
    /// `Σ_t √E_t·|C'_t|`, the same not squared: `[G·N]`.
    pub read_sizes: Vec<f64>,
    /// `Σ_t E_t`: `[G·N]`.
    pub energy: Vec<f64>,
    /// `Σ_t C'_t²`: `[G·N]`.
    pub reads: Vec<f64>,
    /// `Σ_t C'_t·∂NLL/∂C'_t`, zero where no gradients were taken: `[G·N]`.
    pub slope: Vec<f64>,
    /// `Σ_t −Δ_t·A`, how fast every head forgets: `[heads]`.
    pub decay: Vec<f64>,
    /// `Σ_p H²` of every head and channel after the last token, summed over sequences: whose memory a
    /// channel is. `[heads, N]`.
    pub held: Vec<f64>,
    /// Number of tokens.
    pub tokens: u64,
}

impl StateMoments {
    /// Of no token, for `channels = G·N` channels in all of `groups` groups.
    pub fn new(channels: usize, heads: usize, groups: usize) -> Self {
        let zeros = || vec![0.0; channels];
        Self {
            readout: zeros(),
            read_sizes: zeros(),
            energy: zeros(),
            reads: zeros(),
            slope: zeros(),
            decay: vec![0.0; heads],
            held: vec![0.0; heads * channels / groups],
            tokens: 0,
        }
    }

    /// Forgets all tokens.
    pub fn clear(&mut self) {
        let Self { readout, read_sizes, energy, reads, slope, decay, held, tokens } = self;
        for sums in [readout, read_sizes, energy, reads, slope, decay, held] {
            sums.fill(0.0);
        }
        *tokens = 0;
    }

    /// Adds tokens.
    ///
    /// # Shapes
    /// - `energies`: `E`, `[tokens, G·N]`
    /// - `reads`: `C'`, the same
    pub fn add(&mut self, energies: &[f32], reads: &[f32]) {
        let channels = self.readout.len();
        for (e, c) in energies.chunks_exact(channels).zip(reads.chunks_exact(channels)) {
            let read = self.readout.iter_mut().zip(&mut self.read_sizes);
            let sums = read.zip(&mut self.energy).zip(&mut self.reads);
            for ((((readout, size), energy), reads), (e, c)) in sums.zip(e.iter().zip(c)) {
                let (e, c) = (f64::from(*e), f64::from(*c));
                *readout += e * (c * c);
                *size += e.sqrt() * c.abs();
                *energy += e;
                *reads += c * c;
            }
            self.tokens += 1;
        }
    }

    /// Adds how fast the same tokens made the heads forget.
    ///
    /// # Shapes
    /// - `dt`: `Δ`, `[tokens, heads]`
    /// - `rates`: `A`, `[heads]`
    pub fn add_decay(&mut self, dt: &[f32], rates: &[f32]) {
        for dt in dt.chunks_exact(rates.len()) {
            for ((sum, dt), rate) in self.decay.iter_mut().zip(dt).zip(rates) {
                *sum -= f64::from(*dt) * f64::from(*rate);
            }
        }
    }

    /// Adds what a sequence left behind.
    ///
    /// # Shapes
    /// - `state`: `[heads, head_dim, N]`
    pub fn add_held(&mut self, state: &[f32]) {
        let heads = self.decay.len();
        let channels = self.held.len() / heads;
        let of_heads = state.chunks_exact(state.len() / heads);
        for (held, state) in self.held.chunks_exact_mut(channels).zip(of_heads) {
            for row in state.chunks_exact(channels) {
                held.iter_mut().zip(row).for_each(|(sum, h)| *sum += f64::from(*h).powi(2));
            }
        }
    }

    /// Adds the sums of other tokens.
    pub fn merge(&mut self, other: &Self) {
        let pairs = [
            (&mut self.readout, &other.readout),
            (&mut self.read_sizes, &other.read_sizes),
            (&mut self.energy, &other.energy),
            (&mut self.reads, &other.reads),
            (&mut self.slope, &other.slope),
            (&mut self.decay, &other.decay),
            (&mut self.held, &other.held),
        ];
        for (a, b) in pairs.into_iter().flat_map(|(a, b)| a.iter_mut().zip(b)) {
            *a += b;
        }
        self.tokens += other.tokens;
    }

    /// Half-life of every head in tokens, `ln 2 / mean_t(−Δ_t·A)`; infinite where nothing is forgotten or
    /// nothing was seen.
    ///
    /// # Shapes
    /// - returns: `[heads]`
    pub fn half_lives(&self) -> Vec<f64> {
        let of_head = |sum: &f64| match *sum > 0.0 {
            true => std::f64::consts::LN_2 * self.tokens as f64 / sum,
            false => f64::INFINITY,
        };
        self.decay.iter().map(of_head).collect()
    }

    /// Half-life of every channel in tokens. Heads forget at their own pace, so a channel has the mean of
    /// its group's heads, each with the weight of what it held of the channel at the ends of sequences;
    /// infinite where nothing was held.
    ///
    /// # Shapes
    /// - `groups`: `G`, which divides the number of heads
    /// - returns: `[G·N]`
    pub fn channel_half_lives(&self, groups: usize) -> Vec<f64> {
        let heads = self.half_lives();
        let (of_group, channels) = (heads.len() / groups, self.held.len() / heads.len());
        let of_channel = |i: usize| {
            let (group, n) = (i / channels, i % channels);
            let of_heads = (group * of_group..(group + 1) * of_group)
                .map(|head| (self.held[head * channels + n], heads[head]))
                .filter(|(held, _)| *held > 0.0);
            let (sum, weights) = of_heads
                .fold((0.0, 0.0), |(sum, all), (held, life)| (sum + held * life, all + held));
            if weights > 0.0 { sum / weights } else { f64::INFINITY }
        };
        (0..self.readout.len()).map(of_channel).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::StateMoments;

    fn by_hand() -> StateMoments {
        let mut moments = StateMoments::new(2, 2, 1);
        moments.add(&[4.0, 1.0, 9.0, 0.0], &[0.5, -2.0, 1.0, 3.0]);
        moments.add_decay(&[0.5, 1.0, 0.25, 3.0], &[-1.0, -0.5]);
        // Two heads of one entry and two channels: the first channel is the second head's alone.
        moments.add_held(&[0.0, 1.0, 2.0, 1.0]);
        moments
    }

    #[test]
    fn sums_by_hand() {
        let moments = by_hand();
        assert_eq!(moments.readout, [10.0, 4.0]);
        assert_eq!(moments.read_sizes, [4.0, 2.0]);
        assert_eq!(moments.energy, [13.0, 1.0]);
        assert_eq!(moments.reads, [1.25, 13.0]);
        assert_eq!(moments.slope, [0.0; 2]);
        assert_eq!(moments.decay, [0.75, 2.0]);
        assert_eq!(moments.tokens, 2);
        let ln_2 = std::f64::consts::LN_2;
        assert_eq!(moments.half_lives(), [ln_2 * 2.0 / 0.75, ln_2]);
        let mean = f64::midpoint(ln_2 * 2.0 / 0.75, ln_2);
        assert_eq!(moments.held, [0.0, 1.0, 4.0, 1.0]);
        assert_eq!(moments.channel_half_lives(1), [ln_2, mean]);
        assert_eq!(StateMoments::new(1, 1, 1).half_lives(), [f64::INFINITY]);
        assert_eq!(StateMoments::new(1, 1, 1).channel_half_lives(1), [f64::INFINITY]);
    }

    /// Sums over two halves of a text add up, and none of them stay after `clear`.
    #[test]
    fn halves_add_up() {
        let new = || StateMoments::new(2, 2, 1);
        let (mut first, mut second) = (new(), new());
        first.add(&[4.0, 1.0], &[0.5, -2.0]);
        first.add_decay(&[0.5, 1.0], &[-1.0, -0.5]);
        second.add(&[9.0, 0.0], &[1.0, 3.0]);
        second.add_decay(&[0.25, 3.0], &[-1.0, -0.5]);
        second.add_held(&[0.0, 1.0, 2.0, 1.0]);
        first.merge(&second);
        assert_eq!(first, by_hand());
        first.clear();
        assert_eq!(first, new());
    }
}
