//! The points that the weights of a group are rounded to.

use crate::CutError;

/// How finely weights are rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounding {
    /// Bits of an entry, 1 to 8.
    pub bits: u32,
    /// Consecutive inputs of an output that share a grid; the last group of a row may be short.
    pub group: usize,
}

impl Rounding {
    /// Whether it can be done.
    ///
    /// # Errors
    /// Bits outside of 1 to 8, or a group of none.
    pub fn check(&self) -> Result<(), CutError> {
        if !(1..=8).contains(&self.bits) {
            let reason = format!("is {}, and must be 1 to 8", self.bits);
            return Err(CutError::Setting { setting: "bits", reason });
        }
        if self.group == 0 {
            let reason = "is 0, and must be at least 1 input".to_owned();
            return Err(CutError::Setting { setting: "group", reason });
        }
        Ok(())
    }
}

/// The asymmetric grid of a group of weights (docs/SPEC.md section 11):
///
/// ```text
/// lo = min(0, min w), hi = max(0, max w)  (both zero: −1, 1)
/// s = (hi − lo) / (2^b − 1),  z = round(−lo/s)
/// ŵ = s·(clamp(round(w/s) + z, 0, 2^b − 1) − z)
/// ```
///
/// Halves are rounded to even, as `torch.round` does. Zero is a point of every grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// `s`.
    pub scale: f64,
    /// `z`.
    pub zero: f64,
    /// `2^b − 1`.
    pub top: f64,
}

impl Grid {
    /// The grid of some weights.
    pub fn of(weights: impl Iterator<Item = f64>, bits: u32) -> Self {
        let (mut lo, mut hi) = (0.0, 0.0);
        for weight in weights {
            if weight < lo {
                lo = weight;
            }
            if weight > hi {
                hi = weight;
            }
        }
        if lo == 0.0 && hi == 0.0 {
            (lo, hi) = (-1.0, 1.0);
        }
        let top = f64::from((1_u32 << bits) - 1);
        let scale = (hi - lo) / top;
        Self { scale, zero: (-lo / scale).round_ties_even(), top }
    }

    /// The nearest point.
    pub fn round(&self, weight: f64) -> f64 {
        let level = (weight / self.scale).round_ties_even() + self.zero;
        self.scale * (level.clamp(0.0, self.top) - self.zero)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_grid_by_hand() {
        let grid = Grid::of([-1.0, 0.2, 2.0].into_iter(), 2);
        assert_eq!((grid.scale, grid.zero, grid.top), (1.0, 1.0, 3.0));
        // Halves to even: .5 → 0, 1.5 → 2.
        for (weight, point) in [(-1.0, -1.0), (0.5, 0.0), (1.5, 2.0), (-3.0, -1.0), (9.0, 2.0)] {
            assert_eq!(grid.round(weight), point, "{weight}");
        }
        let none = Grid::of([0.0, 0.0].into_iter(), 4);
        assert_eq!((none.scale, none.zero), (2.0 / 15.0, 8.0));
        assert_eq!(none.round(0.0), 0.0);
    }

    proptest! {
        /// No weight of the group moves by more than half a step and what the rounding of the zero costs;
        /// there are at most 2^b points; zero is one of them.
        #[test]
        fn points_are_near(weights in prop::collection::vec(-3.0_f64..3.0, 1..70), bits in 1_u32..=8) {
            let grid = Grid::of(weights.iter().copied(), bits);
            let mut points: Vec<u64> = Vec::new();
            for weight in &weights {
                let point = grid.round(*weight);
                prop_assert!((point - weight).abs() <= grid.scale * (1.0 + 1e-9));
                points.push(point.to_bits());
            }
            points.sort_unstable();
            points.dedup();
            prop_assert!(points.len() <= 1 << bits);
            prop_assert_eq!(grid.round(0.0), 0.0);
        }
    }
}
