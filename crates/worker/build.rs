//! Versions of the compiler and of burn, for the provenance columns.

use std::{env, fs, process::Command};

fn main() {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(rustc).arg("--version").output().ok();
    let text = output.and_then(|o| String::from_utf8(o.stdout).ok()).unwrap_or_default();
    let version = text.split_whitespace().nth(1).unwrap_or("unknown").to_owned();
    println!("cargo::rustc-env=SLIM_RUSTC_VERSION={version}");

    let lock = "../../Cargo.lock";
    println!("cargo::rerun-if-changed={lock}");
    let lock = fs::read_to_string(lock).unwrap_or_default();
    let burn = lock.split("[[package]]").find(|package| package.contains("name = \"burn\"\n"));
    let version = burn
        .and_then(|package| package.lines().find_map(|line| line.strip_prefix("version = ")))
        .map_or("unknown", |version| version.trim_matches('"'))
        .to_owned();
    println!("cargo::rustc-env=SLIM_BURN_VERSION={version}");
}
