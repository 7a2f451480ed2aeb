//! Rows that are set side by side and dropped different shares: a difference between them is then not
//! the doing of the method alone.

use crate::format::percent;

/// Reached sparsities further apart than this are not the same one.
pub(crate) const TOLERANCE: f64 = 0.005;
/// Sums of shares are off by roundings; a difference of exactly [`TOLERANCE`] is no excess.
const ROUNDING: f64 = 1e-9;

/// What is to be said of rows with these names and reached sparsities; nothing when they agree.
pub(crate) fn flag(sides: impl IntoIterator<Item = (String, f64)>) -> Option<String> {
    let sides: Vec<(String, f64)> = sides.into_iter().collect();
    // Of rows that reach the same, the first one is named.
    let (least_name, least) = sides.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let (most_name, most) = sides.iter().rev().max_by(|a, b| a.1.total_cmp(&b.1))?;
    (most - least > TOLERANCE + ROUNDING).then(|| {
        format!(
            "unequal sparsity: {least_name} drops {}, {most_name} {}",
            percent(*least),
            percent(*most)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::flag;

    #[test]
    fn only_more_than_half_a_percent_is_flagged() {
        let sides = |last: f64| [("a", 0.5), ("b", 0.502), ("c", last)];
        let flagged = |last| flag(sides(last).map(|(name, share)| (name.to_owned(), share)));
        assert_eq!(flagged(0.505), None);
        let text = "unequal sparsity: a drops 50.0 %, c 51.0 %";
        assert_eq!(flagged(0.51).as_deref(), Some(text));
        assert_eq!(flag([]), None);
    }
}
