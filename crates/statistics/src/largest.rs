//! The largest of some numbers, which no NaN gets past.

/// The largest of non-negative numbers; 0 where there is none, NaN where one of them is NaN.
///
/// `f64::max` returns the other number of a pair with a NaN, so a difference that cannot be told would pass
/// for none.
pub fn largest(values: impl IntoIterator<Item = f64>) -> f64 {
    let larger = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) };
    values.into_iter().fold(0.0, larger)
}

#[cfg(test)]
mod tests {
    use super::largest;

    #[test]
    fn a_nan_is_never_dropped() {
        assert_eq!(largest([]), 0.0);
        assert_eq!(largest([0.5, 2.0, 1.0]), 2.0);
        for values in [[f64::NAN, 1.0], [1.0, f64::NAN]] {
            assert!(largest(values).is_nan(), "{values:?}");
        }
        assert_eq!(largest([1.0, f64::INFINITY]), f64::INFINITY);
    }
}
