//! The nearest valid name for a mistyped one, and the error that says so.

use std::fmt;

/// The candidate that is closest to `given` by edit distance, if any is close at all.
///
/// Case does not count. "Close" means that at most about half of the letters differ. Among equally
/// close candidates the first one wins.
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given_lower = given.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = strsim::damerau_levenshtein(&given_lower, &candidate.to_lowercase());
        let longest = given.chars().count().max(candidate.chars().count());
        let close = distance * 2 <= longest + 1;
        if close && best.is_none_or(|(so_far, _)| distance < so_far) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, name)| name)
}

/// Candidates with less in common than this are not like `given` at all.
const LEAST_ALIKE: f64 = 0.3;

/// The candidates that have most in common with `given`, the most alike first, at most `n`: for texts
/// of several words, where an edit distance would look at nothing but their length.
///
/// "In common" are pairs of neighbouring letters (Sørensen–Dice); neither case nor blanks count.
pub fn most_alike<'a>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    n: usize,
) -> Vec<&'a str> {
    let given = given.to_lowercase();
    let rated = candidates
        .into_iter()
        .map(|candidate| (strsim::sorensen_dice(&given, &candidate.to_lowercase()), candidate));
    let mut rated: Vec<(f64, &str)> = rated.filter(|(alike, _)| *alike >= LEAST_ALIKE).collect();
    rated.sort_by(|a, b| b.0.total_cmp(&a.0));
    rated.into_iter().take(n).map(|(_, candidate)| candidate).collect()
}

/// A name that is not in the vocabulary: says what was meant, the nearest name and all names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownName {
    /// What kind of name was expected, e.g. `policy`.
    pub what: String,
    /// The name as written.
    pub given: String,
    /// The nearest valid name.
    pub nearest: Option<String>,
    /// Every valid name, in the order of the vocabulary.
    pub known: Vec<String>,
}

/// Names that a message lists; more would bury what it says.
const MOST_SHOWN: usize = 24;

impl UnknownName {
    /// The error for `given`, which is none of `known`.
    pub fn new<'a>(
        what: impl Into<String>,
        given: impl Into<String>,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let given = given.into();
        let known: Vec<String> = known.into_iter().map(str::to_owned).collect();
        let nearest = nearest(&given, known.iter().map(String::as_str)).map(str::to_owned);
        UnknownName { what: what.into(), given, nearest, known }
    }
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown {} `{}`", self.what, self.given)?;
        if let Some(nearest) = &self.nearest {
            write!(f, ": did you mean `{nearest}`?")?;
        }
        if self.known.is_empty() {
            write!(f, " (there are none to choose from)")
        } else {
            let (shown, rest) = self.known.split_at(self.known.len().min(MOST_SHOWN));
            write!(f, " (one of: {}", shown.join(", "))?;
            match rest.len() {
                0 => f.write_str(")"),
                n => write!(f, ", and {n} more)"),
            }
        }
    }
}

impl std::error::Error for UnknownName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_closest_name_or_none() {
        let names = ["dense", "static", "dynamic", "window"];
        assert_eq!(nearest("dynamc", names), Some("dynamic"));
        assert_eq!(nearest("Windows", names), Some("window"));
        assert_eq!(nearest("zzzzzz", names), None);
    }

    #[test]
    fn the_most_alike_come_first() {
        let labels = ["opt dialogue dense", "opt narrative static", "opt narrative dense", "zzz"];
        let alike = most_alike("opt narative dense", labels, 2);
        assert_eq!(alike, ["opt narrative dense", "opt narrative static"]);
        assert!(most_alike("qqqqqqqq", labels, 2).is_empty());
    }

    #[test]
    fn message_names_nearest_and_all() {
        let error = UnknownName::new("policy", "statik", ["dense", "static"]);
        assert_eq!(
            error.to_string(),
            "unknown policy `statik`: did you mean `static`? (one of: dense, static)"
        );
        let many: Vec<String> = (0..30).map(|n| format!("name-{n}")).collect();
        let error = UnknownName::new("task", "zzz", many.iter().map(String::as_str));
        assert!(error.to_string().ends_with(", name-23, and 6 more)"), "{error}");
    }
}
