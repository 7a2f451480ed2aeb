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
        self.scale * (self.level(weight) - self.zero)
    }

    /// The number of the nearest point, from 0 to [`Grid::top`].
    pub fn level(&self, weight: f64) -> f64 {
        ((weight / self.scale).round_ties_even() + self.zero).clamp(0.0, self.top)
    }

    /// A grid of so many bits that all of the weights lie on, found from themselves: what rounded them may
    /// have had another (a sweep takes its grids from weights that move on), but none that says more of
    /// them. `None` where they lie on no such grid.
    ///
    /// The step is a whole part of the smallest weight, the largest that will do.
    pub fn found(weights: &[f32], bits: u32) -> Option<Self> {
        let sizes = weights.iter().map(|weight| weight.abs()).filter(|size| *size > 0.0);
        let [least, most] = sizes
            .fold([f32::INFINITY, 0.0], |[least, most], size| [least.min(size), most.max(size)]);
        if most == 0.0 {
            return Some(Self::of(std::iter::empty(), bits));
        }
        let top = (1_u32 << bits) - 1;
        (1..=top).find_map(|parts| {
            let scale = f64::from(least) / f64::from(parts);
            Self::with_scale(weights, scale, f64::from(top), f64::from(most))
        })
    }

    /// The grid with about this step, if the weights lie on it.
    fn with_scale(weights: &[f32], scale: f64, top: f64, most: f64) -> Option<Self> {
        // Points of up to 255 steps, each rounded to f32 and so is the smallest weight: 255 · 2 · 2⁻²⁴.
        const NEAR: f64 = 5e-5;
        // What rounding to f32 moves the largest weight by, twice.
        const EXACT: f64 = 1.0 / (1_u32 << 23) as f64;
        let (mut lo, mut hi) = (0.0_f64, 0.0_f64);
        let (mut products, mut squares) = (0.0, 0.0);
        for weight in weights {
            let steps = f64::from(*weight) / scale;
            let whole = steps.round_ties_even();
            if (steps - whole).abs() > NEAR {
                return None;
            }
            (lo, hi) = (lo.min(whole), hi.max(whole));
            products += f64::from(*weight) * whole;
            squares += whole * whole;
        }
        if hi - lo > top {
            return None;
        }
        // The step that fits all of them best.
        let grid = Self { scale: products / squares, zero: -lo, top };
        let is_exact = |weight: &f32| {
            (grid.round(f64::from(*weight)) - f64::from(*weight)).abs() <= EXACT * most
        };
        weights.iter().all(is_exact).then_some(grid)
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

    #[test]
    fn weights_on_no_grid_have_none() {
        assert_eq!(Grid::found(&[0.1, 0.27, 0.314_159], 4), None);
        // Sixteen steps apart: one too many.
        assert_eq!(Grid::found(&[-1.0, 15.0], 4), None);
        assert!(Grid::found(&[-1.0, 14.0], 4).is_some());
        let none = Grid::found(&[0.0; 3], 4).expect("zero is on every grid");
        assert_eq!(none.round(0.0), 0.0);
    }

    proptest! {
        /// Rounded weights have a grid, and it gives them back; so do some of them, as a sweep leaves them
        /// whose group had wider ends.
        #[test]
        fn grids_are_found(
            weights in prop::collection::vec(-3.0_f32..3.0, 1..70),
            bits in 1_u32..=8,
            kept in 1_usize..70,
        ) {
            let grid = Grid::of(weights.iter().map(|weight| f64::from(*weight)), bits);
            let rounded: Vec<f32> =
                weights.iter().take(kept).map(|w| grid.round(f64::from(*w)) as f32).collect();
            let found = Grid::found(&rounded, bits).expect("they lie on a grid");
            for weight in &rounded {
                let (back, level) = (found.round(f64::from(*weight)), found.level(f64::from(*weight)));
                prop_assert!((back - f64::from(*weight)).abs() <= 3.0 * 2.4e-7);
                prop_assert!((0.0..=found.top).contains(&level));
                prop_assert_eq!(level, level.trunc());
            }
            prop_assert!((0.0..=found.top).contains(&found.zero));
        }

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
