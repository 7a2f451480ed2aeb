//! The two loops of every product with one row: rows added up, and rows multiplied with a vector.
//!
//! Nothing here iterates over two arrays of registers at once or calls a closure: either would keep sums in
//! memory, or leave the wide instructions (see `vector/src/wide.rs`).

use pulp::{Simd, WithSimd};

use crate::{ARCH, Rows, Stored, element::Element};

/// Rows that are taken at a time: as many streams of memory are read side by side.
const TOGETHER: usize = 4;
/// Registers of a row of sums that are held while rows pass by.
const BLOCK: usize = 4;
/// Registers that a row of several is multiplied in: the same for one alone, so that what else is asked for
/// changes no bit.
const OF_ROW: usize = 2;

/// Calls a generic function with the numbers of a matrix, whatever their type.
macro_rules! by_element {
    ($stored:expr, $values:ident => $run:expr) => {
        match $stored {
            Stored::F32($values) => $run,
            Stored::F16($values) => $run,
            Stored::Bf16($values) => $run,
        }
    };
}
pub(crate) use by_element;

/// `y += Σ_i scale_i · row_i` over the rows that `picked` gives with their scales, one after the other: how
/// many are taken at a time changes no bit.
pub(crate) fn add_rows(y: &mut [f32], rows: Rows<'_>, picked: impl Iterator<Item = (usize, f32)>) {
    by_element!(rows.stored, values => ARCH.dispatch(Added { y, rows, values, picked }));
}

/// `y_i = row_i · x` for the rows that `picked` gives.
pub(crate) fn dot_rows(
    y: &mut [f32],
    rows: Rows<'_>,
    x: &[f32],
    picked: impl Iterator<Item = usize>,
) {
    assert_eq!(x.len(), rows.width, "a number for every column");
    by_element!(rows.stored, values => ARCH.dispatch(Dotted { y, rows, values, x, picked }));
}

struct Added<'a, E, I> {
    y: &'a mut [f32],
    rows: Rows<'a>,
    values: &'a [E],
    picked: I,
}

impl<E: Element, I: Iterator<Item = (usize, f32)>> WithSimd for Added<'_, E, I> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let mut rows: [&[f32]; TOGETHER] = [&[]; TOGETHER];
        let mut scales = [0.0; TOGETHER];
        let mut n = 0;
        for (row, scale) in self.picked.by_ref() {
            let row = &self.values[self.rows.of(row)];
            let Some(row) = E::as_f32(row) else {
                // Widened on its way, a row is too much work to wait for others.
                add_narrow::<S, E>(simd, self.y, row, scale);
                continue;
            };
            (rows[n], scales[n]) = (row, scale);
            n += 1;
            if n == TOGETHER {
                add::<S, TOGETHER>(simd, self.y, rows, scales);
                n = 0;
            }
        }
        for i in 0..n {
            add::<S, 1>(simd, self.y, [rows[i]], [scales[i]]);
        }
    }
}

/// `y += scale · row`, widened a block at a time.
#[inline(always)]
fn add_narrow<S: Simd, E: Element>(simd: S, y: &mut [f32], row: &[E], scale: f32) {
    let (row, row_end) = row.as_chunks::<WIDENED>();
    let (y, y_end) = y.as_chunks_mut::<WIDENED>();
    let scales = simd.splat_f32s(scale);
    for (y, row) in y.iter_mut().zip(row) {
        let wide = widened(row);
        let ((wide, _), (y, _)) = (S::as_simd_f32s(&wide), S::as_mut_simd_f32s(y));
        for n in 0..WIDENED / S::F32_LANES {
            y[n] = simd.mul_add_f32s(scales, wide[n], y[n]);
        }
    }
    for (y, w) in y_end.iter_mut().zip(row_end) {
        *y = w.widen().mul_add(scale, *y);
    }
}

#[inline(always)]
fn add<S: Simd, const R: usize>(simd: S, y: &mut [f32], rows: [&[f32]; R], scales: [f32; R]) {
    let width = y.len();
    let mut at = 0;
    while at + BLOCK * S::F32_LANES <= width {
        at = add_block::<S, R, BLOCK>(simd, y, rows, scales, at);
    }
    while at + S::F32_LANES <= width {
        at = add_block::<S, R, 1>(simd, y, rows, scales, at);
    }
    for (column, y) in y.iter_mut().enumerate().skip(at) {
        for (row, scale) in rows.iter().zip(scales) {
            *y = row[column].mul_add(scale, *y);
        }
    }
}

/// `N` registers of the sums, from column `at`; where the next ones begin.
#[inline(always)]
fn add_block<S: Simd, const R: usize, const N: usize>(
    simd: S,
    y: &mut [f32],
    rows: [&[f32]; R],
    scales: [f32; R],
    at: usize,
) -> usize {
    let next = at + N * S::F32_LANES;
    let (y, _) = S::as_mut_simd_f32s(&mut y[at..next]);
    let mut sums = [simd.splat_f32s(0.0); N];
    sums.copy_from_slice(y);
    for (row, scale) in rows.iter().zip(scales) {
        let scale = simd.splat_f32s(scale);
        let (row, _) = S::as_simd_f32s(&row[at..next]);
        for n in 0..N {
            sums[n] = simd.mul_add_f32s(scale, row[n], sums[n]);
        }
    }
    y.copy_from_slice(&sums);
    next
}

struct Dotted<'a, E, I> {
    y: &'a mut [f32],
    rows: Rows<'a>,
    values: &'a [E],
    x: &'a [f32],
    picked: I,
}

impl<E: Element, I: Iterator<Item = usize>> WithSimd for Dotted<'_, E, I> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        if E::as_f32(self.values).is_none() {
            for (y, row) in self.y.iter_mut().zip(self.picked) {
                *y = dot_narrow::<S, E>(simd, &self.values[self.rows.of(row)], self.x);
            }
            return;
        }
        let (together, alone) = self.y.as_chunks_mut::<TOGETHER>();
        for y in together {
            let mut rows: [&[f32]; TOGETHER] = [&[]; TOGETHER];
            for (to, row) in rows.iter_mut().zip(&mut self.picked) {
                *to = E::as_f32(&self.values[self.rows.of(row)]).unwrap_or(&[]);
            }
            *y = dots::<S, TOGETHER, OF_ROW>(simd, rows, self.x);
        }
        for (y, row) in alone.iter_mut().zip(self.picked) {
            let row = E::as_f32(&self.values[self.rows.of(row)]).unwrap_or(&[]);
            [*y] = dots::<S, 1, OF_ROW>(simd, [row], self.x);
        }
    }
}

/// `row · x` of every row, in `N` registers each: their number decides the order of the sum.
#[inline(always)]
pub(crate) fn dots<S: Simd, const R: usize, const N: usize>(
    simd: S,
    rows: [&[f32]; R],
    x: &[f32],
) -> [f32; R] {
    let mut sums = [[simd.splat_f32s(0.0); N]; R];
    let (width, mut at) = (x.len(), 0);
    while at + N * S::F32_LANES <= width {
        let next = at + N * S::F32_LANES;
        let (x, _) = S::as_simd_f32s(&x[at..next]);
        for r in 0..R {
            let (row, _) = S::as_simd_f32s(&rows[r][at..next]);
            for n in 0..N {
                sums[r][n] = simd.mul_add_f32s(row[n], x[n], sums[r][n]);
            }
        }
        at = next;
    }
    while at + S::F32_LANES <= width {
        let next = at + S::F32_LANES;
        let (x, _) = S::as_simd_f32s(&x[at..next]);
        for r in 0..R {
            let (row, _) = S::as_simd_f32s(&rows[r][at..next]);
            sums[r][0] = simd.mul_add_f32s(row[0], x[0], sums[r][0]);
        }
        at = next;
    }
    let mut out = [0.0; R];
    for r in 0..R {
        let mut sum = sums[r][0];
        for other in &sums[r][1..] {
            sum = simd.add_f32s(sum, *other);
        }
        out[r] = simd.reduce_sum_f32s(sum);
        for i in at..width {
            out[r] = rows[r][i].mul_add(x[i], out[r]);
        }
    }
    out
}

/// `row · x`, widened a block at a time.
#[inline(always)]
fn dot_narrow<S: Simd, E: Element>(simd: S, row: &[E], x: &[f32]) -> f32 {
    let mut sums = [simd.splat_f32s(0.0); BLOCK];
    let (row, row_end) = row.as_chunks::<WIDENED>();
    let (x, x_end) = x.as_chunks::<WIDENED>();
    for (row, x) in row.iter().zip(x) {
        let wide = widened(row);
        let ((wide, _), (x, _)) = (S::as_simd_f32s(&wide), S::as_simd_f32s(x));
        for n in 0..WIDENED / S::F32_LANES {
            sums[n % BLOCK] = simd.mul_add_f32s(wide[n], x[n], sums[n % BLOCK]);
        }
    }
    let [a, b, c, d] = sums;
    let mut sum = simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d)));
    for (w, x) in row_end.iter().zip(x_end) {
        sum = w.widen().mul_add(*x, sum);
    }
    sum
}

/// Numbers of a block: so few that what they become stays in registers.
const WIDENED: usize = 64;

#[inline(always)]
fn widened<E: Element>(row: &[E; WIDENED]) -> [f32; WIDENED] {
    let mut wide = [0.0; WIDENED];
    for (wide, narrow) in wide.iter_mut().zip(row) {
        *wide = narrow.widen();
    }
    wide
}
