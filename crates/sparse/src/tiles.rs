//! Feed-forward blocks of many tokens whose hidden entries are mostly zero: only what is not zero is
//! multiplied.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::{
    ARCH, Rows, Stored,
    element::Element,
    lines::{by_element, dots},
};

/// Tokens of a tile: the neurons that any of them uses are read once for all of them.
const TILE: usize = 64;

/// Registers that one row is multiplied in: enough of them to hide how long a multiplication takes.
const OF_ROW: usize = 4;
/// Registers that hold sums of one token.
const SUMS: usize = 8;
/// Numbers of the widest register of any machine.
const LANES: usize = 16;

/// What every token of a tile has that is not zero: neurons, ascending, and their entries of `h`.
type Lists = Vec<Vec<(u32, f32)>>;

/// `y = (gate * (x·W_up))·W_down`, where neurons whose gate is zero are not read.
///
/// # Shapes
/// - `x`: `[tokens, d_in]`
/// - `gate`: `[tokens, F]`, behind its non-linearity
/// - `up`: `[F, d_in]`, a row a neuron
/// - `down`: `[F, d_out]`
/// - returns: `[tokens, d_out]`
///
/// # Panics
/// Where shapes do not fit.
pub fn gated_tiles(x: &[f32], gate: &[f32], up: Rows<'_>, down: Rows<'_>) -> Vec<f32> {
    let (d_in, neurons) = (up.width, up.count);
    assert_eq!(x.len() * neurons, gate.len() * d_in, "a gate for every neuron and token");
    by_tile(gate, down, |first, gate| {
        let x = &x[first * d_in..][..gate.len() / neurons * d_in];
        by_element!(up.stored, values => ARCH.dispatch(Gated { x, gate, up, values }))
    })
}

/// `y = h·W_down`, where neurons whose `h` is zero are not read.
///
/// # Shapes
/// - `h`: `[tokens, F]`
/// - `down`: `[F, d_out]`
/// - returns: `[tokens, d_out]`
///
/// # Panics
/// Where shapes do not fit.
pub fn plain_tiles(h: &[f32], down: Rows<'_>) -> Vec<f32> {
    by_tile(h, down, |_, h| {
        let of_token = |h: &[f32]| {
            let entries = h.iter().enumerate().filter(|(_, h)| **h != 0.0);
            entries.map(|(neuron, h)| (neuron as u32, *h)).collect()
        };
        h.chunks_exact(down.count).map(of_token).collect()
    })
}

/// Share of the entries that are not zero.
pub fn share_not_zero(h: &[f32]) -> f64 {
    let count = |h: &[f32]| h.iter().map(|h| u32::from(*h != 0.0)).sum::<u32>() as usize;
    let not_zero: usize = h.par_chunks(1 << 14).map(count).sum();
    not_zero as f64 / h.len().max(1) as f64
}

/// Projects tile by tile what `lists` makes of the first token's index and the entries of a tile.
fn by_tile(
    entries: &[f32],
    down: Rows<'_>,
    lists: impl Fn(usize, &[f32]) -> Lists + Sync,
) -> Vec<f32> {
    let (neurons, width) = (down.count, down.width);
    assert_eq!(entries.len() % neurons, 0, "a row of entries for every token");
    let mut out = vec![0.0; entries.len() / neurons * width];
    let tiles = out.par_chunks_mut(TILE * width).zip(entries.par_chunks(TILE * neurons));
    tiles.enumerate().for_each(|(tile, (out, entries))| {
        let lists = lists(tile * TILE, entries);
        by_element!(down.stored, values => ARCH.dispatch(Down { lists: &lists, down, values, out }));
    });
    out
}

struct Gated<'a, E> {
    x: &'a [f32],
    gate: &'a [f32],
    up: Rows<'a>,
    values: &'a [E],
}

impl<E: Element> WithSimd for Gated<'_, E> {
    type Output = Lists;

    /// Neuron by neuron, so that a row of the weights is read once for all tokens of the tile.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Lists {
        let (neurons, d_in) = (self.up.count, self.up.width);
        let users = users(self.gate, neurons);
        let mut widened = vec![0.0; d_in];
        let mut lists: Lists = vec![Vec::new(); self.gate.len() / neurons];
        for (neuron, users) in users.into_iter().enumerate() {
            if users == 0 {
                continue;
            }
            let row = E::widened(&self.values[self.up.of(neuron)], &mut widened);
            let mut left = users;
            while left != 0 {
                let token = left.trailing_zeros() as usize;
                left &= left - 1;
                let x = &self.x[token * d_in..][..d_in];
                let [up] = dots::<S, 1, OF_ROW>(simd, [row], x);
                lists[token].push((neuron as u32, self.gate[token * neurons + neuron] * up));
            }
        }
        lists
    }
}

/// The tokens of a tile that use a neuron, a bit each.
#[inline(always)]
fn users(gate: &[f32], neurons: usize) -> Vec<u64> {
    let mut users = vec![0_u64; neurons];
    for (token, gate) in gate.chunks_exact(neurons).enumerate() {
        for (users, gate) in users.iter_mut().zip(gate) {
            *users |= u64::from(*gate != 0.0) << token;
        }
    }
    users
}

struct Down<'a, E> {
    lists: &'a Lists,
    down: Rows<'a>,
    values: &'a [E],
    out: &'a mut [f32],
}

impl<E: Element> WithSimd for Down<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (width, lanes) = (self.down.width, S::F32_LANES);
        let mut column = 0;
        while column + SUMS * lanes <= width {
            self.columns::<S, SUMS>(simd, column);
            column += SUMS * lanes;
        }
        while column + lanes <= width {
            self.columns::<S, 1>(simd, column);
            column += lanes;
        }
        for (out, list) in self.out.chunks_exact_mut(width).zip(self.lists) {
            for (neuron, h) in list {
                let row = &self.values[self.down.of(*neuron as usize)];
                for (out, w) in out[column..].iter_mut().zip(&row[column..]) {
                    *out = w.widen().mul_add(*h, *out);
                }
            }
        }
    }
}

impl<E: Element> Down<'_, E> {
    /// Columns `column..column + N·lanes` of every token, sums held in `N` registers: their columns of the
    /// weights stay in the second-level cache while the tokens of the tile pass by.
    #[inline(always)]
    fn columns<S: Simd, const N: usize>(&mut self, simd: S, column: usize) {
        let of_block = column..column + N * S::F32_LANES;
        let mut buffer = [0.0; SUMS * LANES];
        for (out, list) in self.out.chunks_exact_mut(self.down.width).zip(self.lists) {
            let mut sums = [simd.splat_f32s(0.0); N];
            for (neuron, h) in list {
                let row = &self.values[self.down.of(*neuron as usize)][of_block.clone()];
                let (row, _) = S::as_simd_f32s(E::widened(row, &mut buffer));
                let h = simd.splat_f32s(*h);
                for n in 0..N {
                    sums[n] = simd.mul_add_f32s(h, row[n], sums[n]);
                }
            }
            let (out, _) = S::as_mut_simd_f32s(&mut out[of_block.clone()]);
            out.copy_from_slice(&sums);
        }
    }
}

/// [`gated_tiles`] and, without `x` and `up`, [`plain_tiles`], one multiplication after the other: the
/// oracle.
///
/// # Shapes
/// - `up`, `down`: row-major
pub fn tiles_naive(
    entries: &[f32],
    up: Option<(&[f32], &[f32])>,
    down: &[f32],
    neurons: usize,
) -> Vec<f32> {
    let width = down.len() / neurons;
    let mut out = vec![0.0; entries.len() / neurons * width];
    for (token, (entries, out)) in
        entries.chunks_exact(neurons).zip(out.chunks_exact_mut(width)).enumerate()
    {
        for (neuron, entry) in entries.iter().enumerate() {
            let mut h = *entry;
            if let Some((x, up)) = up {
                let d_in = up.len() / neurons;
                let (x, row) = (&x[token * d_in..][..d_in], &up[neuron * d_in..][..d_in]);
                h *= x.iter().zip(row).map(|(x, w)| x * w).sum::<f32>();
            }
            for (out, w) in out.iter_mut().zip(&down[neuron * width..][..width]) {
                *out += h * w;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};
    use proptest::prelude::*;

    use super::*;

    fn value(i: usize, seed: u32) -> f32 {
        ((i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) >> 16) as f32 / 65_536.0 - 0.5
    }

    fn largest(values: &[f32]) -> f32 {
        values.iter().fold(1.0, |most, v| if v.abs() > most || v.is_nan() { v.abs() } else { most })
    }

    fn close(found: &[f32], expected: &[f32]) -> bool {
        let bound = 1e-5 * largest(expected);
        found.len() == expected.len()
            && found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() <= bound)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Several tiles, the last one short; wide and narrow; no zeros, all zeros and between; all number
        /// types. Sums of up to 90 products, each of a sum of up to 140: 1e-5 of the largest output.
        #[test]
        fn equals_naive(
            tokens in prop::sample::select(vec![1_usize, 3, TILE, TILE + 1, 150]),
            neurons in prop::sample::select(vec![1_usize, 20, 90]),
            d_in in prop::sample::select(vec![1_usize, 16, 140]),
            d_out in prop::sample::select(vec![1_usize, 16, 140]),
            zeros in 0_u32..=10,
            seed in 0_u32..1000,
        ) {
            let entries: Vec<f32> = (0..tokens * neurons)
                .map(|i| if (i as u32 * 7 + i as u32 / 31 + seed) % 10 < zeros { 0.0 } else { value(i, seed) })
                .collect();
            let numbers = |n: usize, salt| (0..n).map(|i| value(i, seed + salt)).collect::<Vec<f32>>();
            let (x, up, down) =
                (numbers(tokens * d_in, 1), numbers(neurons * d_in, 2), numbers(neurons * d_out, 3));
            let of = |half: fn(f32) -> f32| (up.iter().map(|w| half(*w)).collect::<Vec<f32>>(), down.iter().map(|w| half(*w)).collect::<Vec<f32>>());
            let narrow = |w: &[f32]| (w.iter().map(|w| bf16::from_f32(*w)).collect::<Vec<_>>(), w.iter().map(|w| f16::from_f32(*w)).collect::<Vec<_>>());
            let ((up_b, up_h), (down_b, down_h)) = (narrow(&up), narrow(&down));
            let cases = [
                (Stored::F32(&up), Stored::F32(&down), (up.clone(), down.clone())),
                (Stored::Bf16(&up_b), Stored::Bf16(&down_b), of(|w| bf16::from_f32(w).to_f32())),
                (Stored::F16(&up_h), Stored::F16(&down_h), of(|w| f16::from_f32(w).to_f32())),
            ];
            for (up, down, (up_wide, down_wide)) in cases {
                let up = Rows::new(up, neurons, d_in, d_in);
                let down = Rows::new(down, neurons, d_out, d_out);
                let naive = tiles_naive(&entries, Some((&x, &up_wide)), &down_wide, neurons);
                prop_assert!(close(&gated_tiles(&x, &entries, up, down), &naive));
                let naive = tiles_naive(&entries, None, &down_wide, neurons);
                prop_assert!(close(&plain_tiles(&entries, down), &naive));
            }
            let not_zero = entries.iter().filter(|h| **h != 0.0).count();
            prop_assert_eq!(share_not_zero(&entries), not_zero as f64 / entries.len() as f64);
        }
    }
}
