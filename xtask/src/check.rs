//! `check`: what needs no test to be found wrong, cheapest first.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use plan::exit::DONE;

use crate::build::cargo;
use crate::exit::OTHER;
use crate::report::status;
use crate::workspace::Workspace;
use crate::{check_fresh, check_gpu, check_notebooks, check_page};

const EXAMPLES: &str = "\
Examples:
  cargo xtask check          purpose lines, format, clippy
  cargo xtask check gpu      type-check cuda, run the golden tests on wgpu; its first build takes some
                             30 minutes and goes to target/gpu
  cargo xtask check fresh    clone the last commit into an empty folder, build it from nothing and run
                             the README's command; with --warm on this workspace's built dependencies
  cargo xtask check page     open results/quick/report.html in headless Chromium; with --html FILE another
                             page; screenshots go to target/page
  cargo xtask check notebooks --results results/quick --require
                             execute the notebooks on the results of a run, and the queries of the
                             README files; makes target/notebooks-venv with pip, once";

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
    /// Purpose lines, format and lints of all sources
    Sources,
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
        What::Gpu => check_gpu::run(workspace),
        What::Fresh { warm, keep } => check_fresh::run(workspace, *warm, keep.as_deref()),
        What::Page { html, require } => check_page::run(workspace, html.as_deref(), *require),
        What::Notebooks { results, require } => {
            check_notebooks::run(workspace, results.as_deref(), *require)
        }
    }
}

/// Checks that every source file says what it is for, then format, then lints.
fn sources(workspace: &Workspace) -> Result<i32> {
    let mut silent = Vec::new();
    for folder in ["crates", "xtask"] {
        files_without_purpose(&workspace.root().join(folder), &mut silent)?;
    }
    for path in &silent {
        eprintln!("{}: the first line must be a `//!` that says what it is for", path);
    }
    if !silent.is_empty() {
        return Ok(OTHER);
    }
    let steps: [&[&str]; 2] = [
        &["fmt", "--all", "--check"],
        &["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"],
    ];
    for step in steps {
        let code = status(cargo().args(step).current_dir(workspace.root()))?;
        if code != DONE {
            return Ok(code);
        }
    }
    Ok(DONE)
}

fn files_without_purpose(folder: &Path, found: &mut Vec<String>) -> Result<()> {
    let cannot = || format!("cannot read {}", folder.display());
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path.is_dir() {
            files_without_purpose(&path, found)?;
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
