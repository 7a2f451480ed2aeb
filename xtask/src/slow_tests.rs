//! The tests that `cargo xtask test --fast` leaves out: each takes more than some seconds.

/// By package, the names of tests as `cargo nextest list` prints them.
pub(crate) const SLOW: &[(&str, &[&str])] = &[];

#[cfg(test)]
mod tests {
    use super::SLOW;
    use crate::check_dependencies::read_sources;
    use crate::workspace::Workspace;

    /// A test that was renamed would be run again by `--fast`, and nobody would know why it is slow.
    #[test]
    fn slow_tests_exist() {
        let root = Workspace::find().root().to_owned();
        for (package, tests) in SLOW {
            let beside = root.join("crates").join(package);
            let folder = if beside.is_dir() { beside } else { root.join(package) };
            let mut sources = String::new();
            read_sources(&folder, &mut sources).unwrap();
            for test in *tests {
                let name = test.rsplit("::").next().unwrap();
                assert!(sources.contains(&format!("fn {name}(")), "{package} has no test {test}");
            }
        }
    }
}
