//! The `k` largest of a row, ties to the lowest index.

use pulp::{Simd, WithSimd};

use crate::ARCH;

/// A score that can be ranked by an integer key of the same order.
pub trait Ranked: Copy {
    /// The key: unsigned, so that counting keys above a bound vectorises.
    type Key: Copy + Ord;
    /// Order-preserving; `-0` and `0` are equal.
    fn key(self) -> Self::Key;
    /// The midpoint between two keys, rounded up.
    fn midpoint(low: Self::Key, high: Self::Key) -> Self::Key;
    /// The key just below.
    fn before(key: Self::Key) -> Self::Key;
    /// The smallest key.
    const LEAST: Self::Key;
}

macro_rules! ranked {
    ($float:ty, $key:ty, $sign:expr) => {
        impl Ranked for $float {
            type Key = $key;
            const LEAST: $key = 0;

            #[inline(always)]
            fn key(self) -> $key {
                let bits = (self + 0.0).to_bits();
                // Negative numbers: larger bits are smaller values.
                if bits & $sign == 0 { bits | $sign } else { !bits }
            }

            #[inline(always)]
            fn midpoint(low: $key, high: $key) -> $key {
                low + (high - low).div_ceil(2)
            }

            #[inline(always)]
            fn before(key: $key) -> $key {
                key - 1
            }
        }
    };
}

ranked!(f32, u32, 1 << 31);
ranked!(f64, u64, 1 << 63);

/// Writes the indices of the `k` largest scores to `kept`, ascending; ties go to the lowest index.
///
/// The `k`-th largest key is found by bisection over the key's bits: each step counts the keys above
/// a bound, which runs at the width of the registers, where a partial sort would branch.
///
/// `keys` is room for the keys, kept between calls. Scores are finite and `1 ≤ k ≤ scores.len()`.
pub fn select_top<T: Ranked>(scores: &[T], k: usize, keys: &mut Vec<T::Key>, kept: &mut Vec<u32>) {
    assert!(1 <= k && k <= scores.len(), "k = {k} of {} scores", scores.len());
    kept.clear();
    kept.resize(k, 0);
    ARCH.dispatch(Top { scores, k, keys, kept });
}

struct Top<'a, T: Ranked> {
    scores: &'a [T],
    k: usize,
    keys: &'a mut Vec<T::Key>,
    kept: &'a mut Vec<u32>,
}

impl<T: Ranked> WithSimd for Top<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { scores, k, keys, kept } = self;
        keys.resize(scores.len(), T::LEAST);
        for (key, score) in keys.iter_mut().zip(scores) {
            *key = score.key();
        }
        let bound = kth_largest::<T>(keys, k);
        let above = keys.iter().map(|key| u32::from(*key > bound)).sum::<u32>() as usize;
        let mut ties_left = k - above;
        let mut n = 0;
        for (i, key) in keys.iter().enumerate() {
            let tie = *key == bound && ties_left > 0;
            if *key > bound || tie {
                kept[n] = i as u32;
                n += 1;
                ties_left -= usize::from(tie);
            }
        }
    }
}

/// The largest bound that at least `k` keys reach.
#[inline(always)]
fn kth_largest<T: Ranked>(keys: &[T::Key], k: usize) -> T::Key {
    let mut low = keys.iter().copied().min().unwrap_or(T::LEAST);
    let mut high = keys.iter().copied().max().unwrap_or(T::LEAST);
    while low < high {
        let middle = T::midpoint(low, high);
        let reached = keys.iter().map(|key| u32::from(*key >= middle)).sum::<u32>() as usize;
        if reached >= k {
            low = middle;
        } else {
            high = T::before(middle);
        }
    }
    low
}

/// The same by sorting: the oracle.
pub fn select_naive<T: Ranked + PartialOrd>(scores: &[T], k: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    // A stable sort leaves equal scores in index order.
    order.sort_by(|a, b| {
        let (a, b) = (scores[*a as usize], scores[*b as usize]);
        b.partial_cmp(&a).expect("scores are finite")
    });
    order.truncate(k);
    order.sort_unstable();
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Few distinct values, so that ties are common; both signs and both zeros.
    fn scores() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(
            prop_oneof![
                (-4_i8..4).prop_map(|v| f64::from(v) / 2.0),
                Just(-0.0),
                -1e3_f64..1e3,
                Just(f64::from(f32::MIN_POSITIVE)),
            ],
            1..200,
        )
    }

    proptest! {
        #[test]
        fn equals_naive(scores in scores(), share in 0.0_f64..1.0) {
            let k = 1 + (share * (scores.len() - 1) as f64) as usize;
            let (mut keys, mut kept) = (Vec::new(), Vec::new());
            select_top(&scores, k, &mut keys, &mut kept);
            prop_assert_eq!(&kept, &select_naive(&scores, k));
            let scores: Vec<f32> = scores.into_iter().map(|s| s as f32).collect();
            let mut keys = Vec::new();
            select_top(&scores, k, &mut keys, &mut kept);
            prop_assert_eq!(&kept, &select_naive(&scores, k));
        }

        /// Kept sets are nested as k falls.
        #[test]
        fn nested(scores in scores(), a in 0.0_f64..1.0, b in 0.0_f64..1.0) {
            let count = |share: f64| 1 + (share * (scores.len() - 1) as f64) as usize;
            let (small, large) = (count(a.min(b)), count(a.max(b)));
            let (mut keys, mut few, mut many) = (Vec::new(), Vec::new(), Vec::new());
            select_top(&scores, small, &mut keys, &mut few);
            select_top(&scores, large, &mut keys, &mut many);
            prop_assert!(few.iter().all(|i| many.contains(i)));
        }
    }
}
