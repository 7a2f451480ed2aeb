//! `check dependencies`: is the lock file up to date, is every dependency used, may we link it, and is
//! it there once?
//!
//! These are the questions of cargo-machete and of the parts of cargo-deny that need no list of
//! advisories. Both are answered here from what `cargo tree` and `cargo metadata` print, in a few
//! seconds: CI starts on a bare machine, and the two tools would be more than 200 crates to compile there
//! in every run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use plan::exit::DONE;
use serde_json::Value;

use crate::build::cargo;
use crate::exit::OTHER;
use crate::licence;
use crate::workspace::Workspace;

/// What is looked at: one platform, so that the answer is the same wherever it is asked.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// No code: every member depends on it for the features that it asks of others.
const NO_CODE: &str = "unify";

/// Crates that come in several versions because those that ask for them do; nothing here can change
/// that. A line that is no longer true is a mistake too, so that this list only ever gets shorter.
const AGREED_DUPLICATES: &[&str] = &[
    "base64",
    "crypto-common",
    "darling",
    "darling_core",
    "darling_macro",
    "digest",
    "equator",
    "equator-macro",
    "getrandom",
    "hashbrown",
    "nom",
    "oneshot",
    "rand",
    "rand_chacha",
    "rand_core",
    "rand_distr",
    "spin",
    "statrs",
    "syn",
];

/// A crate of the build, as `cargo tree` tells it.
struct Package {
    name: String,
    version: String,
    licence: String,
    is_ours: bool,
}

/// Runs the command; the value is its exit code.
pub(crate) fn run(workspace: &Workspace) -> Result<i32> {
    let packages = packages(workspace)?;
    let mut problems = unused(workspace)?;
    problems.extend(licences(&packages));
    problems.extend(duplicates(&packages, AGREED_DUPLICATES));
    for problem in &problems {
        eprintln!("error: {problem}");
    }
    if !problems.is_empty() {
        return Ok(OTHER);
    }
    let n_others = packages.iter().filter(|package| !package.is_ours).count();
    eprintln!("dependencies: {n_others} crates, all used, agreed to and no more often than agreed");
    Ok(DONE)
}

/// What a cargo command prints; it refuses a lock file that is not up to date.
fn printed(workspace: &Workspace, words: &[&str]) -> Result<String> {
    let mut command: Command = cargo();
    command.args(words).arg("--locked").current_dir(workspace.root());
    let output = command.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "`cargo {}` failed", words.join(" "));
    String::from_utf8(output.stdout).context("cargo printed no UTF-8")
}

/// Every crate that a build of the workspace with its tests compiles.
fn packages(workspace: &Workspace) -> Result<Vec<Package>> {
    let words = ["tree", "--workspace", "--target", PLATFORM, "--edges", "normal,build,dev"];
    let shape = ["--prefix", "none", "--format", "{p}|{l}"];
    let text = printed(workspace, &[&words[..], &shape].concat())?;
    let lines: BTreeSet<&str> = text.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    lines.into_iter().filter(|line| !line.is_empty()).map(package).collect()
}

/// `name v1.2.3 (more)|licence`
fn package(line: &str) -> Result<Package> {
    let cannot = || format!("cargo tree printed {line:?}");
    let (words, licence) = line.rsplit_once('|').with_context(cannot)?;
    let (name, rest) = words.split_once(" v").with_context(cannot)?;
    let (version, more) = rest.split_once(' ').unwrap_or((rest, ""));
    Ok(Package {
        name: name.to_owned(),
        version: version.to_owned(),
        licence: licence.to_owned(),
        is_ours: more.starts_with("(/"),
    })
}

/// Crates whose licence was not agreed to.
fn licences(packages: &[Package]) -> Vec<String> {
    let others = packages.iter().filter(|package| !package.is_ours);
    let refused = others.filter(|package| !licence::is_agreed(&package.licence));
    refused
        .map(|Package { name, version, licence, .. }| {
            let licence = if licence.is_empty() { "none" } else { licence };
            format!(
                "{name} {version}: licence {licence}: agree to it in xtask/src/licence.rs, or do \
                 without the crate"
            )
        })
        .collect()
}

/// Crates in several versions that are not agreed to, and what was agreed to in vain.
fn duplicates(packages: &[Package], agreed: &[&str]) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    let list = "AGREED_DUPLICATES of xtask/src/check_dependencies.rs";
    let new = versions.iter().filter(|(name, _)| !agreed.contains(*name)).map(|(name, all)| {
        let all = all.iter().copied().collect::<Vec<_>>().join(", ");
        format!(
            "{name} would be compiled several times: {all}: use one version, or add it to {list}"
        )
    });
    let stale = agreed.iter().filter(|name| !versions.contains_key(*name));
    new.chain(stale.map(|name| format!("{name} comes once: take it off {list}"))).collect()
}

/// Dependencies whose name stands in no source file of the crate that asks for them.
fn unused(workspace: &Workspace) -> Result<Vec<String>> {
    let text = printed(workspace, &["metadata", "--no-deps", "--format-version", "1"])?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata printed no JSON")?;
    let members = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let mut problems = Vec::new();
    for member in members {
        let field = |name: &str| member[name].as_str().context("a package lacks a field");
        let name = field("name")?;
        if name == NO_CODE {
            continue;
        }
        let manifest = PathBuf::from(field("manifest_path")?);
        let mut sources = String::new();
        read_sources(manifest.parent().context("a manifest without a folder")?, &mut sources)?;
        for dependency in member["dependencies"].as_array().into_iter().flatten() {
            let own = dependency["rename"].as_str().or(dependency["name"].as_str());
            let own = own.context("a dependency has no name")?;
            if own != NO_CODE && !has_word(&sources, &own.replace('-', "_")) {
                let manifest = workspace.show(&manifest);
                problems.push(format!("{manifest}: {own} is not used: remove it"));
            }
        }
    }
    Ok(problems)
}

/// Appends every source file of a folder.
pub(crate) fn read_sources(folder: &Path, sources: &mut String) -> Result<()> {
    let cannot = || format!("cannot read {}", folder.display());
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path.is_dir() {
            read_sources(&path, sources)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path);
            *sources += &text.with_context(|| format!("cannot read {}", path.display()))?;
        }
    }
    Ok(())
}

/// Whether a text holds a word, and not only as a piece of another.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(word).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(lines: &[&str]) -> Vec<Package> {
        lines.iter().map(|line| package(line).unwrap()).collect()
    }

    #[test]
    fn lines_of_cargo_tree_are_read() {
        let read = packages(&[
            "syn v2.0.119|MIT OR Apache-2.0",
            "plan v0.1.0 (/home/me/slim/crates/plan)|MIT OR Apache-2.0",
            "serde_derive v1.0.2 (proc-macro)|",
        ]);
        let shown: Vec<_> =
            read.iter().map(|own| (&*own.name, &*own.version, own.is_ours)).collect();
        let expected =
            [("syn", "2.0.119", false), ("plan", "0.1.0", true), ("serde_derive", "1.0.2", false)];
        assert_eq!(shown, expected);
        assert!(package("nothing").is_err());
    }

    #[test]
    fn new_and_former_duplicates_are_told() {
        let build = packages(&[
            "a v1.0.0|MIT",
            "a v2.0.0|MIT",
            "b v1.0.0|MIT",
            "c v1.0.0|MIT",
            "c v1.1.0|MIT",
        ]);
        let told = duplicates(&build, &["a", "b"]);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("c would be compiled several times: 1.0.0, 1.1.0"), "{told:?}");
        assert!(told[1].contains("b comes once"), "{told:?}");
        assert!(duplicates(&build, &["a", "c"]).is_empty());
    }

    #[test]
    fn licences_that_nobody_agreed_to_are_told() {
        let build =
            packages(&["a v1.0.0|MIT", "b v1.0.0|GPL-3.0", "c v1.0.0|", "d v1.0.0 (/x/d)|GPL-3.0"]);
        let told = licences(&build);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("b 1.0.0: licence GPL-3.0"), "{told:?}");
        assert!(told[1].starts_with("c 1.0.0: licence none"), "{told:?}");
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("use half::f16;", "half"));
        assert!(!has_word("let by_half = behalf;", "half"));
        assert!(has_word("by_half half", "half"));
    }
}
