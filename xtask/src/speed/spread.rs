//! Repeats of one measurement: their median, and how far they lie apart.

use serde_json::{Value, json};

use crate::bench::median;

/// Some numbers in the order in which they were measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Spread(pub(super) Vec<f64>);

impl Spread {
    pub(super) fn median(&self) -> f64 {
        median(self.0.iter().copied())
    }

    fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn most(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// Repeat by repeat: what is measured side by side is compared, since machines drift.
    pub(super) fn over(&self, other: &Spread) -> Spread {
        Spread(self.0.iter().zip(&other.0).map(|(own, other)| own / other).collect())
    }

    pub(super) fn json(&self) -> Value {
        json!({ "median": self.median(), "least": self.least(), "most": self.most() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_repeat_by_repeat() {
        let (fast, slow) = (Spread(vec![4.0, 2.0, 9.0]), Spread(vec![2.0, 1.0, 3.0]));
        assert_eq!(fast.over(&slow), Spread(vec![2.0, 2.0, 3.0]));
        let json = fast.over(&slow).json();
        assert_eq!(json, json!({ "median": 2.0, "least": 2.0, "most": 3.0 }));
    }
}
