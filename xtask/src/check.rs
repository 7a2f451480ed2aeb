//! `check`: what needs no test to be found wrong, cheapest first.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use plan::exit::DONE;

use crate::build::cargo;
use crate::exit::OTHER;
use crate::report::status;
use crate::workspace::Workspace;
use crate::{
    check_dependencies, check_fresh, check_gpu, check_harness, check_notebooks, check_page,
    check_slim, check_slurm,
};

const EXAMPLES: &str = "\
Examples:
  cargo xtask check          purpose lines, dependencies, format, clippy, documentation
  cargo xtask check dependencies
                             unused ones, licences, several versions of one crate: some seconds
  cargo xtask check fuzz     the fuzz targets compile; goes to target/fuzz
  cargo xtask check gpu      type-check cuda, run the golden tests on wgpu; its first build takes some
                             30 minutes and goes to target/gpu
  cargo xtask check fresh    clone the last commit into an empty folder, build it from nothing and run
                             the README's command; with --warm on this workspace's built dependencies
  cargo xtask check page     open results/quick/report.html in headless Chromium; with --html FILE another
                             page; screenshots go to target/page
  cargo xtask check notebooks --results results/quick --require
                             execute the notebooks on the results of a run, and the queries of the
                             README files; makes target/notebooks-venv with pip, once
  cargo xtask check harness  every choice of the first 100 items of each task beside
                             lm-evaluation-harness itself, on SmolLM2: some ten minutes
  cargo xtask check slim     models that `slim` writes, of every family and cut, in transformers and llama.cpp
                             with no code of ours; makes target/slim-venv with pip, once
  cargo xtask check slurm    a real Slurm of two nodes on this machine computes a grid while one of them is
                             lost and workers are killed; the rows are those of an unbroken run";

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to check [default: sources]
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Purpose lines, dependencies, format, lints and documentation of all sources
    Sources,
    /// Unused dependencies, licences, and crates in several versions
    Dependencies,
    /// The fuzz targets, which are no part of the workspace, compile
    Fuzz,
    /// The features `cuda` and `wgpu`
    Gpu,
    /// A fresh clone, by the README's commands
    Fresh {
        /// Build on the dependencies that are built here
        #[arg(long)]
        warm: bool,
        /// Keep the clone's results in this folder, which must be empty
        #[arg(long, value_name = "DIR")]
        keep: Option<PathBuf>,
    },
    /// The report in a browser
    Page {
        /// The HTML file [default: results/quick/report.html]
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// Fail where node, npm or Chromium is missing, instead of skipping
        #[arg(long)]
        require: bool,
    },
    /// Downstream tasks beside lm-evaluation-harness: log-likelihoods, decisions, time
    Harness(check_harness::Args),
    /// Written models in transformers and llama.cpp: logits of every family and cut, perplexities
    Slim(check_slim::Args),
    /// A grid on a real Slurm, started here, that loses a node; needs root and installs slurm-wlm
    Slurm(check_slurm::Args),
    /// The notebooks, and the queries of the README files
    Notebooks {
        /// A run's folder, or a folder of runs [default: results]
        #[arg(long, value_name = "DIR")]
        results: Option<PathBuf>,
        /// Fail where Python, its packages or results are missing, instead of skipping
        #[arg(long)]
        require: bool,
    },
}

/// Runs the command; the value is its exit code.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    match args.what.as_ref().unwrap_or(&What::Sources) {
        What::Sources => sources(workspace),
        What::Dependencies => check_dependencies::run(workspace),
        What::Fuzz => fuzz(workspace),
        What::Gpu => check_gpu::run(workspace),
        What::Fresh { warm, keep } => check_fresh::run(workspace, *warm, keep.as_deref()),
        What::Page { html, require } => check_page::run(workspace, html.as_deref(), *require),
        What::Harness(args) => check_harness::run(workspace, args),
        What::Slim(args) => check_slim::run(workspace, args),
        What::Slurm(args) => check_slurm::run(workspace, args),
        What::Notebooks { results, require } => {
            check_notebooks::run(workspace, results.as_deref(), *require)
        }
    }
}

/// Checks that every source file says what it is for, then dependencies, format, lints, documentation.
fn sources(workspace: &Workspace) -> Result<i32> {
    let mut silent = Vec::new();
    for folder in ["crates", "xtask", "fuzz"] {
        files_without_purpose(&workspace.root().join(folder), &mut silent)?;
    }
    for path in &silent {
        eprintln!("{}: the first line must be a `//!` that says what it is for", path);
    }
    if !silent.is_empty() {
        return Ok(OTHER);
    }
    let code = check_dependencies::run(workspace)?;
    if code != DONE {
        return Ok(code);
    }
    let format = in_workspace(workspace, &["fmt", "--all", "--check"]);
    let mut clippy = in_workspace(workspace, &["clippy", "--locked", "--release", "--workspace"]);
    clippy.args(["--all-targets", "--", "-D", "warnings"]);
    // Rustdoc's own checks reach what clippy does not see: links, and code that is not Rust.
    let mut documentation = in_workspace(workspace, &["doc", "--locked", "--release", "--quiet"]);
    documentation.args(["--workspace", "--no-deps"]);
    documentation.env("RUSTDOCFLAGS", "-D warnings");
    for mut step in [format, clippy, documentation] {
        let code = status(&mut step)?;
        if code != DONE {
            return Ok(code);
        }
    }
    Ok(DONE)
}

/// Type-checks the fuzz targets, which run on a nightly toolchain only but compile on any.
fn fuzz(workspace: &Workspace) -> Result<i32> {
    let mut check = in_workspace(workspace, &["check", "--locked", "--features", "config"]);
    check.args(["--manifest-path", "fuzz/Cargo.toml", "--target-dir", "target/fuzz"]);
    // Nothing is linked, so libFuzzer itself (C++) need not be compiled: its build script takes the
    // name of a ready one at its word.
    check.env("CUSTOM_LIBFUZZER_PATH", workspace.root().join("target/fuzz/libfuzzer.a"));
    status(&mut check)
}

fn in_workspace(workspace: &Workspace, words: &[&str]) -> Command {
    let mut command = cargo();
    command.args(words).current_dir(workspace.root());
    command
}

fn files_without_purpose(folder: &Path, found: &mut Vec<String>) -> Result<()> {
    let cannot = || format!("cannot read {}", folder.display());
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path.is_dir() {
            // A fuzzer's own build, corpus and findings.
            if !path.ends_with("fuzz/target") {
                files_without_purpose(&path, found)?;
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            if !text.starts_with("//!") {
                found.push(path.display().to_string());
            }
        }
    }
    Ok(())
}
