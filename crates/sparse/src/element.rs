//! Numbers that a weight may be stored as; every sum is in `f32`.

use half::{bf16, f16};

/// A stored number that stands for an `f32` exactly.
pub(crate) trait Element: Copy + Send + Sync + 'static {
    /// The number.
    fn widen(self) -> f32;

    /// The numbers themselves where they are `f32`.
    #[inline(always)]
    fn as_f32(_: &[Self]) -> Option<&[f32]> {
        None
    }

    /// The same numbers as `f32`, in `buffer` where they are stored otherwise.
    ///
    /// A loop of its own over plain slices, so that the compiler vectorises it.
    #[inline(always)]
    fn widened<'a>(row: &'a [Self], buffer: &'a mut [f32]) -> &'a [f32] {
        let buffer = &mut buffer[..row.len()];
        for (wide, narrow) in buffer.iter_mut().zip(row) {
            *wide = narrow.widen();
        }
        buffer
    }
}

impl Element for f32 {
    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }

    #[inline(always)]
    fn as_f32(row: &[Self]) -> Option<&[f32]> {
        Some(row)
    }

    #[inline(always)]
    fn widened<'a>(row: &'a [Self], _: &'a mut [f32]) -> &'a [f32] {
        row
    }
}

impl Element for bf16 {
    /// The upper half of an `f32`.
    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
}

impl Element for f16 {
    /// Exponent and fraction moved to their places in an `f32` are 2⁻¹¹² of the number, subnormal ones
    /// too. What is infinite or NaN comes out finite: a model holds neither.
    #[inline(always)]
    fn widen(self) -> f32 {
        const TWO_TO_112: f32 = f32::from_bits((127 + 112) << 23);
        let bits = u32::from(self.to_bits());
        let size = f32::from_bits((bits & 0x7fff) << 13) * TWO_TO_112;
        f32::from_bits(size.to_bits() | (bits & 0x8000) << 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every finite number of both types, as the crate `half` reads it, bit for bit.
    #[test]
    fn widens_every_number() {
        for bits in 0..=u16::MAX {
            let (brain, ieee) = (bf16::from_bits(bits), f16::from_bits(bits));
            if brain.is_finite() {
                assert_eq!(brain.widen().to_bits(), brain.to_f32().to_bits(), "bf16 {bits:#x}");
            }
            if ieee.is_finite() {
                assert_eq!(ieee.widen().to_bits(), ieee.to_f32().to_bits(), "f16 {bits:#x}");
            }
        }
    }
}
