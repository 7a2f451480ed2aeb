//! How far numbers are apart, for every test that compares some: `fold(0.0, f32::max)` and `max` drop a NaN,
//! and a comparison that is full of them would pass.

/// The largest `|found − expected|`.
///
/// # Panics
/// Where the two are not of one length, or a number of either is NaN or infinite.
#[track_caller]
pub fn worst<A: Copy + Into<f64>, B: Copy + Into<f64>>(found: &[A], expected: &[B]) -> f64 {
    assert_eq!(found.len(), expected.len(), "as many numbers are found as expected");
    largest(found.iter().zip(expected).map(|(found, expected)| {
        let (found, expected) = ((*found).into(), (*expected).into());
        (found - expected).abs()
    }))
}

/// The largest of some differences; 0 of none.
///
/// # Panics
/// Where one of them is NaN or infinite.
#[track_caller]
pub fn largest(differences: impl IntoIterator<Item = f64>) -> f64 {
    let mut largest = 0.0;
    for (at, difference) in differences.into_iter().enumerate() {
        assert!(difference.is_finite(), "difference {at} is {difference}");
        if difference > largest {
            largest = difference;
        }
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_difference_is_found() {
        assert_eq!(worst(&[1.0_f32, -2.5, 3.0], &[1.0_f64, 2.0, 3.5]), 4.5);
        assert_eq!(worst::<f32, f32>(&[], &[]), 0.0);
    }

    #[test]
    fn no_number_passes_unseen() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for (found, expected) in
                [([0.0, bad], [0.0, 0.0]), ([0.0, 0.0], [bad, 0.0]), ([bad, 0.0], [bad, 0.0])]
            {
                assert!(std::panic::catch_unwind(|| worst(&found, &expected)).is_err(), "{bad}");
            }
        }
        assert!(std::panic::catch_unwind(|| worst(&[0.0_f32], &[0.0_f32, 1.0])).is_err());
    }
}
