//! What tests of several crates share: how a test says that it cannot run here.

/// Set, it makes what is missing a failure: CI sets it where it has fetched the weights and has the
/// texts, so that no check is left out there without anybody noticing.
pub const REQUIRE: &str = "SLIM_REQUIRE";

/// Says why a test that needs something which is not here does nothing.
///
/// # Panics
/// With [`REQUIRE`] in the environment, unless it is empty or `0`.
pub fn skip(reason: &str) {
    let value = std::env::var_os(REQUIRE);
    let is_required = value.is_some_and(|value| !value.is_empty() && value != "0");
    assert!(!is_required, "{REQUIRE} is set, and this test cannot run: {reason}");
    eprintln!("skipped: {reason}");
}
