//! The scores of attention heads, one file each, and what they may look at.

mod impact;
mod magnitude;
mod random;
mod taylor;

pub use impact::HeadImpact;
pub use magnitude::HeadMagnitude;
pub use random::RandomHeads;
pub use taylor::HeadTaylor;

use crate::{Draw, HeadMoments};

/// Ranks the query heads of an attention; the larger, the rather kept.
pub trait HeadScore: Send + Sync {
    /// Its name in pipelines and tables.
    fn name(&self) -> &'static str;

    /// Whether it looks at what heads give, so that a static cut needs a calibration text.
    fn needs_text(&self) -> bool;

    /// Whether it looks at the gradients of the loss ([`HeadMoments::slope`]), which no forward pass has.
    fn needs_gradient(&self) -> bool {
        false
    }

    /// Scores of all heads over the tokens of `moments`.
    ///
    /// # Shapes
    /// - returns: `[heads]`
    fn score(&self, moments: &HeadMoments, draw: &Draw) -> Vec<f64>;
}

/// All names, in the order of the specification (section 14).
pub const HEAD_NAMES: [&str; 4] = ["magnitude", "impact", "taylor", "random"];

/// The score of that name.
pub fn by_head_name(name: &str) -> Option<Box<dyn HeadScore>> {
    Some(match name {
        "magnitude" => Box::new(HeadMagnitude),
        "impact" => Box::new(HeadImpact),
        "taylor" => Box::new(HeadTaylor),
        "random" => Box::new(RandomHeads),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One hand-made attention through every score.
    #[test]
    fn by_hand() {
        let moments = HeadMoments {
            magnitude: vec![7.0, 3.0, 0.0],
            impact: vec![1.0, 4.0, 0.0],
            slope: vec![-2.0, 1.0, 0.0],
            tokens: 2,
        };
        let draw = Draw::of_attention_site(1, 0);
        let expected: [(&str, [f64; 3]); 3] = [
            ("magnitude", [7.0, 3.0, 0.0]),
            ("impact", [1.0, 4.0, 0.0]),
            ("taylor", [2.0, 1.0, 0.0]),
        ];
        for (name, expected) in expected {
            assert_eq!(
                by_head_name(name).expect("known").score(&moments, &draw),
                expected,
                "{name}"
            );
        }
        let random = RandomHeads.score(&moments, &draw);
        assert_eq!(random, draw.uniform(3));
        assert_eq!(HEAD_NAMES.map(|name| by_head_name(name).expect("known").name()), HEAD_NAMES);
    }
}
