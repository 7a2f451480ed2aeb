//! What tests of several crates share: how a test says that it cannot run here.

use std::ffi::OsStr;

/// Set, it makes what is missing a failure: CI sets it where it has fetched the weights and has the
/// texts, so that no check is left out there without anybody noticing.
pub const REQUIRE: &str = "SLIM_REQUIRE";

/// Says why a test that needs something which is not here does nothing.
///
/// # Panics
/// With [`REQUIRE`] in the environment, unless it is empty or `0`.
pub fn skip(reason: &str) {
    let is_required = requires(std::env::var_os(REQUIRE).as_deref());
    assert!(!is_required, "{REQUIRE} is set, and this test cannot run: {reason}");
    eprintln!("skipped: {reason}");
}

/// Whether a value of [`REQUIRE`] asks for every test.
fn requires(value: Option<&OsStr>) -> bool {
    value.is_some_and(|value| !value.is_empty() && value != "0")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::requires;

    #[test]
    fn nothing_and_zero_require_nothing() {
        for (value, expected) in
            [(None, false), (Some(""), false), (Some("0"), false), (Some("1"), true)]
        {
            assert_eq!(requires(value.map(OsStr::new)), expected, "{value:?}");
        }
    }
}
