//! Which licences we link: SPDX expressions as crates state them, against a list of agreed ones.

/// Licences that may be linked into programs under MIT or Apache-2.0 without more than keeping their
/// notices. MPL-2.0 asks for the sources of its own files, which anyone can have unchanged.
const AGREED: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Zlib",
];

/// Whether a crate with this licence may be linked; one that states none may not.
pub(crate) fn is_agreed(expression: &str) -> bool {
    // Older crates write `MIT/Apache-2.0` for a choice.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut words = words.as_slice();
    any(&mut words) == Some(true) && words.is_empty()
}

/// `A OR B OR …`; none where it is no expression.
fn any(words: &mut &[&str]) -> Option<bool> {
    let mut value = all(words)?;
    while take(words, "OR") {
        value |= all(words)?;
    }
    Some(value)
}

/// `A AND B AND …`, which binds tighter.
fn all(words: &mut &[&str]) -> Option<bool> {
    let mut value = one(words)?;
    while take(words, "AND") {
        value &= one(words)?;
    }
    Some(value)
}

/// A licence, perhaps with an exception, or an expression in brackets.
fn one(words: &mut &[&str]) -> Option<bool> {
    if take(words, "(") {
        let value = any(words)?;
        return take(words, ")").then_some(value);
    }
    let (first, rest) = words.split_first()?;
    *words = rest;
    let mut licence = (*first).to_owned();
    if take(words, "WITH") {
        let (exception, rest) = words.split_first()?;
        *words = rest;
        licence = format!("{licence} WITH {exception}");
    }
    Some(AGREED.contains(&licence.as_str()))
}

/// Takes a word if it is the next one.
fn take(words: &mut &[&str], word: &str) -> bool {
    match words.split_first() {
        Some((first, rest)) if *first == word => {
            *words = rest;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_agreed;

    #[test]
    fn expressions_are_worked_out() {
        for expression in [
            "MIT",
            "MIT/GPL-3.0",
            "GPL-2.0 OR MIT",
            "Apache-2.0 WITH LLVM-exception",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "MIT OR GPL-3.0 AND AGPL-3.0",
        ] {
            assert!(is_agreed(expression), "{expression}");
        }
        for expression in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR GPL-3.0) AND AGPL-3.0",
            "GPL-3.0 WITH Classpath-exception-2.0",
            "MIT MIT",
            "(MIT",
            "MIT OR",
            "mit",
        ] {
            assert!(!is_agreed(expression), "{expression}");
        }
    }
}
