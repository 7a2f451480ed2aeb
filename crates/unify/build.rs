//! A build script must exist for cargo to unify the build dependencies too.
fn main() {}
