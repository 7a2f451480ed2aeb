//! Zeros and energy of hidden vectors.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::{ARCH, KeptGroups};

/// What one row of h holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RowShares {
    /// Entries that are exactly zero.
    pub zeros: u32,
    /// Σh², in `f64`; not finite if and only if an entry is not.
    pub energy: f64,
}

const LANES: usize = 16;

/// Zeros and energy of every row.
///
/// # Shapes
/// - `h`: `[tokens, F]`
/// - returns: one entry a token
pub fn row_shares(h: &[f32], neurons: usize) -> Vec<RowShares> {
    h.par_chunks_exact(neurons).with_min_len(16).map(|row| ARCH.dispatch(Row(row))).collect()
}

struct Row<'a>(&'a [f32]);

impl WithSimd for Row<'_> {
    type Output = RowShares;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> RowShares {
        let (mut zeros, mut energy) = ([0_u32; LANES], [0.0_f64; LANES]);
        let parts = self.0.chunks_exact(LANES);
        for (lane, h) in parts.remainder().iter().enumerate() {
            zeros[lane] += u32::from(*h == 0.0);
            energy[lane] += f64::from(*h) * f64::from(*h);
        }
        for part in parts {
            for ((h, zeros), energy) in part.iter().zip(&mut zeros).zip(&mut energy) {
                *zeros += u32::from(*h == 0.0);
                let h = f64::from(*h);
                *energy += h * h;
            }
        }
        RowShares { zeros: zeros.iter().sum(), energy: energy.iter().sum() }
    }
}

/// Σh² of the kept entries of every row, in `f64`.
pub fn kept_energies(h: &[f32], kept: &KeptGroups, neurons: usize) -> Vec<f64> {
    h.par_chunks_exact(neurons)
        .with_min_len(16)
        .enumerate()
        .map(|(row, h)| {
            kept.of_row(row).iter().map(|i| f64::from(h[*i as usize])).map(|h| h * h).sum()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let h = [0.0, 3.0, -4.0, 0.0, -0.0, 2.0];
        let rows = row_shares(&h, 3);
        assert_eq!(rows[0], RowShares { zeros: 1, energy: 25.0 });
        assert_eq!(rows[1], RowShares { zeros: 2, energy: 4.0 });
        let mut kept = KeptGroups::new(1);
        kept.push(1, &[2]);
        kept.push(1, &[0]);
        assert_eq!(kept_energies(&h, &kept, 3), [16.0, 0.0]);
    }

    #[test]
    fn overflow_shows() {
        assert!(!row_shares(&[1.0, f32::NAN], 2)[0].energy.is_finite());
        assert!(!row_shares(&[1.0, f32::INFINITY], 2)[0].energy.is_finite());
    }
}
