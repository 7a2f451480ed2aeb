//! The plain number types that all formats share, and how a tensor is cut into pieces.

use std::ops::Range;

use half::{bf16, f16};

/// Values of one piece: 4 MiB as `f32`.
const PIECE: usize = 1 << 20;

/// A number type with one value a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Float {
    F32,
    F16,
    Bf16,
}

impl Float {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }

    /// Bytes of one value.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::F32 => size_of::<f32>(),
            Self::F16 | Self::Bf16 => size_of::<f16>(),
        }
    }

    /// Little-endian words as `f32`, appended.
    pub(crate) fn append(self, bytes: &[u8], values: &mut Vec<f32>) {
        match self {
            Self::F32 => words(bytes, values, f32::from_le_bytes),
            Self::F16 => words(bytes, values, |word| f16::from_le_bytes(word).to_f32()),
            Self::Bf16 => words(bytes, values, |word| bf16::from_le_bytes(word).to_f32()),
        }
    }
}

fn words<const N: usize>(bytes: &[u8], values: &mut Vec<f32>, convert: impl Fn([u8; N]) -> f32) {
    values.extend(bytes.as_chunks::<N>().0.iter().map(|word| convert(*word)));
}

/// Number of values of a shape; `None` where it does not fit a machine word.
pub(crate) fn count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |product, length| product.checked_mul(*length))
}

/// Length of the rows that a piece must not cut: the last dimension of a matrix, one value of a vector.
pub(crate) fn row_length(shape: &[usize]) -> usize {
    match shape {
        [.., row] if shape.len() > 1 => *row,
        _ => 1,
    }
}

/// Cuts `count` values into pieces of whole rows, as ranges of flat indices.
pub(crate) fn pieces(count: usize, row: usize) -> impl Iterator<Item = Range<usize>> {
    let step = (PIECE / row.max(1)).max(1) * row.max(1);
    (0..count).step_by(step).map(move |start| start..(start + step).min(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_rows_and_cover_everything() {
        for (rows, row) in [(1, 1), (5, 3 * PIECE), (3000, 1001), (2 * PIECE + 1, 1), (0, 7)] {
            let cut: Vec<_> = pieces(rows * row, row).collect();
            assert!(cut.iter().all(|piece| piece.start % row == 0 && piece.len() % row == 0));
            assert!(cut.iter().all(|piece| piece.len() <= PIECE.max(row)));
            assert_eq!(cut.iter().map(ExactSizeIterator::len).sum::<usize>(), rows * row);
            assert!(cut.windows(2).all(|pair| pair[0].end == pair[1].start));
        }
    }
}
