//! The scores, one file each, and what they may look at.

mod energy;
mod fisher;
mod impact;
mod magnitude;
mod random;
mod reversed;
mod taylor;
mod wanda;
mod weight;

pub use energy::Energy;
pub use fisher::Fisher;
pub use impact::Impact;
pub use magnitude::Magnitude;
pub use random::Random;
pub use reversed::Reversed;
pub use taylor::Taylor;
pub use wanda::Wanda;
pub use weight::Weight;

use models::Ffn;

use crate::{Draw, Moments};

/// Lengths of the weights that leave each neuron (`w_i` = row `i` of the down projection).
#[derive(Clone, Debug, PartialEq)]
pub struct SiteWeights {
    /// `‖w_i‖₂`, one entry a neuron.
    pub l2: Vec<f32>,
    /// `‖w_i‖₁`, one entry a neuron.
    pub l1: Vec<f32>,
}

impl SiteWeights {
    /// Of a block.
    pub fn of(ffn: &Ffn) -> Self {
        Self { l2: ffn.out_norms_l2(), l1: ffn.out_norms_l1() }
    }
}

/// A score whose order within one token can be read off `|h|` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RankedBy {
    /// Larger `|h|`, larger score.
    Magnitude,
    /// Larger `|h|`, smaller score.
    MinusMagnitude,
}

/// Ranks the neurons of a site; the larger, the rather kept.
pub trait Score: Send + Sync {
    /// Its name in pipelines and tables.
    fn name(&self) -> &'static str;

    /// Whether it looks at activations, so that a static cut needs a calibration text.
    fn needs_text(&self) -> bool;

    /// Whether it looks at gradients, which only a calibration text can give.
    fn needs_gradient(&self) -> bool {
        false
    }

    /// Whether one token's order follows from `|h|` alone: an exact short cut for dynamic sparsity.
    fn order_in_one_token(&self) -> Option<RankedBy> {
        None
    }

    /// Scores of all neurons over the tokens of `moments`.
    ///
    /// # Shapes
    /// - returns: `[F]`
    fn score(&self, weights: &SiteWeights, moments: &Moments, draw: &Draw) -> Vec<f64>;
}

/// All names, in the order of the table in the specification.
pub const NAMES: [&str; 9] =
    ["magnitude", "weight", "impact", "energy", "wanda", "taylor", "fisher", "random", "reversed"];

/// The score of that name.
pub fn by_name(name: &str) -> Option<Box<dyn Score>> {
    Some(match name {
        "magnitude" => Box::new(Magnitude),
        "weight" => Box::new(Weight),
        "impact" => Box::new(Impact),
        "energy" => Box::new(Energy),
        "wanda" => Box::new(Wanda),
        "taylor" => Box::new(Taylor),
        "fisher" => Box::new(Fisher),
        "random" => Box::new(Random),
        "reversed" => Box::new(Reversed),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One hand-made site through every score.
    #[test]
    fn by_hand() {
        let weights = SiteWeights { l2: vec![2.0, 1.0, 0.5], l1: vec![3.0, 1.0, 0.5] };
        let mut moments = Moments::new(3);
        moments.add(&[3.0, -1.0, 0.0, -4.0, 2.0, 0.0]);
        (moments.slope, moments.slope_squared) = (vec![-2.0, 1.0, 0.0], vec![4.0, 5.0, 0.0]);
        let draw = Draw::of_site(1, 0);
        let expected: [(&str, [f64; 3]); 8] = [
            ("magnitude", [7.0, 3.0, 0.0]),
            ("weight", [2.0, 1.0, 0.5]),
            ("impact", [14.0, 3.0, 0.0]),
            ("energy", [25.0, 5.0, 0.0]),
            ("wanda", [15.0, 5.0_f64.sqrt(), 0.0]),
            ("taylor", [2.0, 1.0, 0.0]),
            ("fisher", [4.0, 5.0, 0.0]),
            ("reversed", [-7.0, -3.0, 0.0]),
        ];
        for (name, expected) in expected {
            let score = by_name(name).expect("known");
            assert_eq!(score.name(), name);
            assert_eq!(score.score(&weights, &moments, &draw), expected, "{name}");
        }
        assert_eq!(NAMES.map(|name| by_name(name).expect("known").name()), NAMES);
    }
}
