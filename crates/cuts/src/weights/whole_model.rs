//! A pool of all matrices of a model: the least magnitude that stays is found without holding all scores.

use std::collections::BTreeSet;

use models::{MatrixUse, Model, Values};

use crate::{Matrix, kept_count};

/// Bits of a magnitude that one pass over the model decides.
const DIGIT: u32 = 16;

/// What stays of a model: all magnitudes above the least, and so many that equal it, in the order of the
/// layers, their matrices and the entries of these.
pub(super) struct Threshold {
    /// The least magnitude that stays, as the bits of an `f32` without sign: these are in the order of the
    /// magnitudes.
    least: u32,
    ties: usize,
}

impl Threshold {
    /// Of this share of all matrices, in two passes: the upper half of the bits, then the lower.
    pub(super) fn of(model: &dyn Model, share: f64) -> Self {
        let mut pool = 0;
        matrices(model, |of| {
            let (columns, rows) = of.widths();
            pool += columns * rows;
        });
        let kept = kept_count(pool, share);
        let (upper, above) = digit(model, kept, |bits| Some(bits >> DIGIT));
        let (lower, ties) = digit(model, above, |bits| {
            (bits >> DIGIT == upper).then_some(bits & ((1 << DIGIT) - 1))
        });
        Self { least: (upper << DIGIT) | lower, ties }
    }

    /// Clears what does not stay of the next matrix.
    pub(super) fn clear(&mut self, matrix: &mut Matrix) {
        for weight in &mut matrix.values {
            let bits = weight.abs().to_bits();
            let tied = bits == self.least && self.ties > 0;
            self.ties -= usize::from(tied);
            if bits < self.least || (bits == self.least && !tied) {
                *weight = 0.0;
            }
        }
    }
}

/// The digit of the magnitude of rank `kept`, counted from the largest, and how many of the entries that
/// have it are still to be kept.
fn digit(model: &dyn Model, kept: usize, digit: impl Fn(u32) -> Option<u32>) -> (u32, usize) {
    let mut counts = vec![0_usize; 1 << DIGIT];
    matrices(model, |of| {
        for part in &of.parts {
            for weight in Values::of(part.weight.clone()).iter() {
                if let Some(digit) = digit(weight.abs().to_bits()) {
                    counts[digit as usize] += 1;
                }
            }
        }
    });
    let mut left = kept;
    for (digit, count) in counts.iter().enumerate().rev() {
        if *count >= left {
            return (digit as u32, left);
        }
        left -= count;
    }
    (0, left)
}

/// Every matrix once, layer by layer.
fn matrices(model: &dyn Model, mut see: impl FnMut(&MatrixUse<'_>)) {
    let mut seen = BTreeSet::new();
    for layer in 0..model.facts().layers {
        for of in model.linears(layer) {
            if seen.insert(of.name().clone()) {
                see(&of);
            }
        }
    }
}
