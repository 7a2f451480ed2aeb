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
            write!(f, " (one of: {})", self.known.join(", "))
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
    fn message_names_nearest_and_all() {
        let error = UnknownName::new("policy", "statik", ["dense", "static"]);
        assert_eq!(
            error.to_string(),
            "unknown policy `statik`: did you mean `static`? (one of: dense, static)"
        );
    }
}
