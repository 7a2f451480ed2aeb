//! The error function for `f32` without branches, so that loops over it vectorise.

/// `erf(x) = 2/√π · ∫₀ˣ exp(−t²) dt`, within 4e-7 absolute of the true value.
///
/// `x · P(x²)/Q(x²)` on `[−4, 4]`, where `erf` is 1 to the last bit of an `f32` at the ends
/// (coefficients of Eigen's `erf` for `float`).
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let mut p = -2.726_142_3e-10_f32;
    p = p.mul_add(square, 2.770_681_4e-8);
    p = p.mul_add(square, -2.101_024e-6);
    p = p.mul_add(square, -5.692_506_4e-5);
    p = p.mul_add(square, -7.349_906_4e-4);
    p = p.mul_add(square, -2.954_6e-3);
    p = p.mul_add(square, -1.609_603_3e-2);
    let mut q = -1.456_607_2e-5_f32;
    q = q.mul_add(square, -2.133_740_6e-4);
    q = q.mul_add(square, -1.682_827e-3);
    q = q.mul_add(square, -7.373_329e-3);
    q = q.mul_add(square, -1.426_473_9e-2);
    x * p / q
}

#[cfg(test)]
mod tests {
    use super::erf;

    #[test]
    fn close_to_f64() {
        let mut x = -6.0_f32;
        let mut differences = Vec::new();
        while x < 6.0 {
            differences.push((f64::from(erf(x)) - libm::erf(f64::from(x))).abs());
            x += 0.000_37;
        }
        let worst = crate::largest(differences);
        assert!(worst < 4e-7, "worst absolute error {worst:e}");
        assert_eq!(erf(0.0), 0.0);
    }
}
