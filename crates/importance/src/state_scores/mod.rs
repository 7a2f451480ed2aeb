//! The scores of state channels, one file each, and what they may look at.

mod ghost;
mod ghost_factored;
mod random;
mod state_taylor;
mod state_weight;

pub use ghost::Ghost;
pub use ghost_factored::GhostFactored;
pub use random::RandomChannels;
pub use state_taylor::StateTaylor;
pub use state_weight::StateWeight;

use models::Mixer;

use crate::{Draw, StateMoments};

/// Lengths of the weights at both ends of every channel of a mixer's state, at `g·N + n`.
#[derive(Clone, Debug, PartialEq)]
pub struct StateWeights {
    /// `‖W_B[n]‖₂`, what writes it: `[G·N]`.
    pub write: Vec<f64>,
    /// `‖W_C[n]‖₂`, what reads it: `[G·N]`.
    pub read: Vec<f64>,
}

impl StateWeights {
    /// Of a mixer.
    pub fn of(mixer: &Mixer) -> Self {
        let [write, read] = mixer.mixing_norms();
        Self { write, read }
    }
}

/// Ranks the channels of a state, those of all its groups together; the larger, the rather kept.
pub trait StateScore: Send + Sync {
    /// Its name in pipelines and tables.
    fn name(&self) -> &'static str;

    /// Whether it looks at states, so that a static cut needs a calibration text.
    fn needs_text(&self) -> bool;

    /// Whether it looks at the gradients of the loss ([`StateMoments::slope`]), which no forward pass has.
    fn needs_gradients(&self) -> bool {
        false
    }

    /// Scores of all channels over the tokens of a calibration text.
    ///
    /// # Shapes
    /// - returns: `[G·N]`
    fn score(&self, weights: &StateWeights, moments: &StateMoments, draw: &Draw) -> Vec<f64>;

    /// The same over the tokens of a commitment window, where the specification adds up the scores of
    /// tokens.
    fn window_score(
        &self,
        weights: &StateWeights,
        moments: &StateMoments,
        draw: &Draw,
    ) -> Vec<f64> {
        self.score(weights, moments, draw)
    }
}

/// All names, in the order of the table in the specification.
pub const STATE_NAMES: [&str; 5] =
    ["ghost", "ghost-factored", "state-weight", "state-taylor", "random"];

/// The score of that name.
pub fn by_state_name(name: &str) -> Option<Box<dyn StateScore>> {
    Some(match name {
        "ghost" => Box::new(Ghost),
        "ghost-factored" => Box::new(GhostFactored),
        "state-weight" => Box::new(StateWeight),
        "state-taylor" => Box::new(StateTaylor),
        "random" => Box::new(RandomChannels),
        _ => return None,
    })
}

/// The mean over tokens of a sum over them; 0 of no token.
fn mean(sum: f64, tokens: u64) -> f64 {
    sum / tokens.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One hand-made state through every score.
    #[test]
    fn by_hand() {
        let weights = StateWeights { write: vec![2.0, 1.0, 0.5], read: vec![3.0, 1.0, 0.0] };
        let mut moments = StateMoments::new(3, 1, 1);
        moments.add(&[4.0, 1.0, 0.0, 9.0, 0.0, 1.0], &[0.5, -2.0, 1.0, 1.0, 3.0, 0.0]);
        moments.slope = vec![-0.5, 0.25, 0.0];
        let draw = Draw::of_state_site(1, 0);
        let of_window = Ghost.window_score(&weights, &moments, &draw);
        assert_eq!(of_window, [2.0 * 0.5 + 3.0 * 1.0, 1.0 * 2.0 + 0.0, 0.0 + 0.0]);
        assert_eq!(GhostFactored.window_score(&weights, &moments, &draw), moments.readout);
        let expected: [(&str, [f64; 3]); 4] = [
            ("ghost", [5.0_f64.sqrt(), 2.0_f64.sqrt(), 0.0]),
            ("ghost-factored", [6.5 * 0.625, 0.5 * 6.5, 0.5 * 0.5]),
            ("state-weight", [6.0, 1.0, 0.0]),
            ("state-taylor", [0.5, 0.25, 0.0]),
        ];
        for (name, expected) in expected {
            let score = by_state_name(name).expect("known");
            assert_eq!(score.score(&weights, &moments, &draw), expected, "{name}");
        }
        assert_eq!(STATE_NAMES.map(|name| by_state_name(name).expect("known").name()), STATE_NAMES);
    }
}
