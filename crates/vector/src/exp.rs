//! `e^x` for `f32` without branches, so that loops over it vectorise.

/// `e^x`, within 2 units in the last place of the true value on `[-87, 88]`; inputs outside are
/// clamped there.
///
/// Cody–Waite reduction `x = n·ln 2 + r`, `|r| ≤ ln 2 / 2`, then a degree-6 polynomial in `r`
/// (coefficients of Cephes `expf`), then the exponent bits of `2^n`.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Adding 1.5·2^23 leaves round(n) in the low mantissa bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x));
    let mut p = 1.987_569_1e-4_f32;
    p = p.mul_add(r, 1.398_199_9e-3);
    p = p.mul_add(r, 8.333_452e-3);
    p = p.mul_add(r, 4.166_579_6e-2);
    p = p.mul_add(r, 1.666_666_5e-1);
    p = p.mul_add(r, 0.5);
    let y = p.mul_add(r * r, r) + 1.0;
    y * f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000))
}

#[cfg(test)]
mod tests {
    use super::exp;

    /// Against `f64`, over the whole range in small steps: relative error under 3e-7.
    #[test]
    fn close_to_f64() {
        let mut differences = Vec::new();
        let mut x = -87.0_f32;
        while x < 88.0 {
            let truth = f64::from(x).exp();
            differences.push((f64::from(exp(x)) - truth).abs() / truth);
            x += 0.001_37;
        }
        let worst = crate::largest(differences);
        assert!(worst < 3e-7, "worst relative error {worst:e}");
        assert_eq!(exp(0.0), 1.0);
    }
}
