//! Rows that are set side by side and dropped different shares: a difference between them is then not
//! the doing of the method alone.

/// Reached sparsities further apart than this are not the same one.
pub const TOLERANCE: f64 = 0.005;
/// Sums of shares are off by roundings; a difference of exactly [`TOLERANCE`] is no excess.
const ROUNDING: f64 = 1e-9;

/// The rows that dropped least and most, by name, each with the share that it reached.
#[derive(Debug, Clone, PartialEq)]
pub struct Unequal {
    /// The one that dropped least.
    pub least: (String, f64),
    /// The one that dropped most.
    pub most: (String, f64),
}

/// The same at one requested sparsity.
#[derive(Debug, Clone, PartialEq)]
pub struct UnequalAt {
    /// What all rows were to drop.
    pub sparsity: f64,
    /// What they dropped.
    pub unequal: Unequal,
}

/// Whether rows with these names and reached sparsities dropped different shares; of rows that reach the
/// same, the first one is named.
pub fn unequal(sides: impl IntoIterator<Item = (String, f64)>) -> Option<Unequal> {
    let sides: Vec<(String, f64)> = sides.into_iter().collect();
    let least = sides.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let most = sides.iter().rev().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let is_apart = most.1 - least.1 > TOLERANCE + ROUNDING;
    is_apart.then(|| Unequal { least: least.clone(), most: most.clone() })
}

#[cfg(test)]
mod tests {
    use super::{Unequal, unequal};

    #[test]
    fn only_more_than_half_a_percent_counts() {
        let sides = |last: f64| [("a", 0.5), ("b", 0.502), ("c", last)];
        let unequal_at_last =
            |last| unequal(sides(last).map(|(name, share)| (name.to_owned(), share)));
        assert_eq!(unequal_at_last(0.505), None);
        let (least, most) = (("a".to_owned(), 0.5), ("c".to_owned(), 0.51));
        assert_eq!(unequal_at_last(0.51), Some(Unequal { least, most }));
        assert_eq!(unequal([]), None);
    }
}
