//! Matrices as rows in plain memory.

use std::ops::Range;

use half::{bf16, f16};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::{ARCH, element::Element, lines::by_element};

/// Numbers of a matrix, as they are stored.
#[derive(Clone, Copy, Debug)]
pub enum Stored<'a> {
    /// 32 bits.
    F32(&'a [f32]),
    /// 16 bits, IEEE 754; finite.
    F16(&'a [f16]),
    /// 16 bits, the upper half of an `f32`.
    Bf16(&'a [bf16]),
}

impl Stored<'_> {
    fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(values) => values.len(),
            Self::Bf16(values) => values.len(),
        }
    }

    /// Bytes of a number.
    fn bytes(&self) -> usize {
        match self {
            Self::F32(_) => size_of::<f32>(),
            Self::F16(_) | Self::Bf16(_) => size_of::<f16>(),
        }
    }
}

/// Rows of one width that lie `stride` numbers apart.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    pub(crate) stored: Stored<'a>,
    pub(crate) count: usize,
    pub(crate) width: usize,
    pub(crate) stride: usize,
}

impl<'a> Rows<'a> {
    /// `count` rows of `width` numbers, the first at the beginning of `stored`.
    ///
    /// # Panics
    /// Where the rows overlap or `stored` is too short.
    pub fn new(stored: Stored<'a>, count: usize, width: usize, stride: usize) -> Self {
        assert!(stride >= width, "rows do not overlap");
        let needed = count.checked_sub(1).map_or(0, |last| last * stride + width);
        assert!(stored.len() >= needed, "{count} rows of {width}, {stride} apart, lie in memory");
        Self { stored, count, width, stride }
    }

    /// Numbers of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Bytes of a row.
    pub(crate) fn row_bytes(&self) -> usize {
        self.width * self.stored.bytes()
    }

    /// One row after the other, as `f32`.
    pub fn to_f32(&self) -> Vec<f32> {
        const ROWS: usize = 16;
        let mut out = vec![0.0; self.count * self.width];
        if out.is_empty() {
            return out;
        }
        out.par_chunks_mut(ROWS * self.width).enumerate().for_each(|(task, out)| {
            let (rows, first) = (*self, task * ROWS);
            by_element!(self.stored, values => ARCH.dispatch(Widened { rows, values, first, out }));
        });
        out
    }

    /// Where a row lies.
    #[inline(always)]
    pub(crate) fn of(&self, row: usize) -> Range<usize> {
        row * self.stride..row * self.stride + self.width
    }
}

struct Widened<'a, E> {
    rows: Rows<'a>,
    values: &'a [E],
    first: usize,
    out: &'a mut [f32],
}

impl<E: Element> WithSimd for Widened<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (row, out) in self.out.chunks_exact_mut(self.rows.width).enumerate() {
            for (wide, narrow) in out.iter_mut().zip(&self.values[self.rows.of(self.first + row)]) {
                *wide = narrow.widen();
            }
        }
    }
}

/// A linear map, `y = x·W` with `W` `[d_in, d_out]`, by the way in which it lies in memory.
#[derive(Clone, Copy, Debug)]
pub enum Map<'a> {
    /// A row for every input: `W` itself. Inputs that are zero need not be read.
    ByInput(Rows<'a>),
    /// A row for every output: `Wᵀ`, as checkpoints have it. Outputs that nobody asks for need not be
    /// read.
    ByOutput(Rows<'a>),
}

impl Map<'_> {
    /// `d_in`.
    pub fn inputs(&self) -> usize {
        match self {
            Self::ByInput(rows) => rows.count,
            Self::ByOutput(rows) => rows.width,
        }
    }

    /// `d_out`.
    pub fn outputs(&self) -> usize {
        match self {
            Self::ByInput(rows) => rows.width,
            Self::ByOutput(rows) => rows.count,
        }
    }

    /// `W`, row by row, as `f32`.
    #[cfg(test)]
    pub(crate) fn to_f32(self) -> Vec<f32> {
        match self {
            Self::ByInput(rows) => rows.to_f32(),
            Self::ByOutput(rows) => {
                let values = rows.to_f32();
                let column = |i: usize| (0..rows.count).map(move |o| o * rows.width + i);
                (0..rows.width).flat_map(column).map(|at| values[at]).collect()
            }
        }
    }
}
