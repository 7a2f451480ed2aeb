//! `check fresh`: what someone sees who clones the repository and types the README's commands.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use plan::exit::DONE;
use serde_json::Value;

use crate::build::cargo;
use crate::exit::OTHER;
use crate::workspace::Workspace;

/// What the grid may take after the build: twice what the README says, since the machines of CI are shared
/// and the report is built beside it.
const LIMIT_SECONDS: f64 = 600.0;

/// Clones the last commit into an empty folder, runs `cargo xtask run-grid` there, and looks at what
/// appeared; `warm` lends the clone this workspace's built dependencies. The results go to `keep`.
pub(crate) fn run(workspace: &Workspace, warm: bool, keep: Option<&Path>) -> Result<i32> {
    let keep = keep.map(|folder| prepare(folder).map(|()| folder)).transpose()?;
    let folder = tempfile::tempdir().context("cannot make an empty folder")?;
    let clone = folder.path().join("slim");
    git(workspace.root(), [OsStr::new("clone"), "--quiet".as_ref(), ".".as_ref(), clone.as_ref()])?;
    let changed = git(workspace.root(), ["status", "--porcelain"])?;
    if !changed.is_empty() {
        eprintln!("note: the clone has the last commit, not what was changed since");
    }
    let command = || {
        let mut command = cargo();
        command.current_dir(&clone);
        // The clone is not to find this workspace's sources, texts or weights.
        for variable in
            ["CARGO_MANIFEST_DIR", "SLIM_DATA", "SLIM_CACHE", "SLIM_WORKER", "SLIM_REPORT"]
        {
            command.env_remove(variable);
        }
        if warm {
            let own = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
            let own = own.unwrap_or_else(|| workspace.root().join("target"));
            command.env("CARGO_TARGET_DIR", own);
        }
        command
    };
    let begun = Instant::now();
    let mut build = command();
    build.args(["build", "--release", "--workspace", "--quiet"]);
    build.args(["--bin", "xtask", "--bin", "worker", "--bin", "report"]);
    if !build.status().context("cannot start cargo")?.success() {
        bail!("the clone does not build");
    }
    eprintln!(
        "built in {:.0} s{}",
        begun.elapsed().as_secs_f64(),
        if warm { ", warm" } else { "" }
    );

    let begun = Instant::now();
    let mut grid = command();
    grid.args(["xtask", "run-grid", "--json"]).stderr(Stdio::inherit());
    let output = grid.output().context("cannot start cargo")?;
    let seconds = begun.elapsed().as_secs_f64();
    let summary: Value = serde_json::from_slice(&output.stdout)
        .context("`cargo xtask run-grid --json` printed no JSON")?;
    let problems = problems(&clone, &summary, output.status.code(), seconds);
    let cells = &summary["cells"];
    eprintln!("run-grid: {seconds:.0} s, {} of {} cells", cells["done"], cells["total"]);
    for problem in &problems {
        eprintln!("error: {problem}");
    }
    if let Some(folder) = keep {
        copy(&clone.join("results"), folder)?;
        eprintln!("results: {}", workspace.show(folder));
    }
    Ok(if problems.is_empty() { DONE } else { OTHER })
}

/// Refuses a folder that holds something, so that nothing is mixed.
fn prepare(folder: &Path) -> Result<()> {
    let cannot = || format!("cannot use {} for the results", folder.display());
    fs::create_dir_all(folder).with_context(cannot)?;
    if fs::read_dir(folder).with_context(cannot)?.next().is_some() {
        bail!("{} is not empty: give --keep an empty folder", folder.display());
    }
    Ok(())
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let cannot = || format!("cannot copy {} to {}", from.display(), to.display());
    fs::create_dir_all(to).with_context(cannot)?;
    for entry in fs::read_dir(from).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        let Some(name) = path.file_name() else { continue };
        let target = to.join(name);
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, &target).with_context(cannot)?;
        }
    }
    Ok(())
}

/// Runs git; what it printed.
fn git<S: AsRef<OsStr>>(folder: &Path, args: impl IntoIterator<Item = S>) -> Result<String> {
    let mut command = Command::new("git");
    let output = command.args(args).current_dir(folder).output().context("cannot start git")?;
    if !output.status.success() {
        bail!("git failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What is not as the README says.
fn problems(clone: &Path, summary: &Value, code: Option<i32>, seconds: f64) -> Vec<String> {
    let mut problems = Vec::new();
    if code != Some(DONE) {
        problems.push(format!("run-grid ended with {code:?}"));
    }
    if summary["cells"]["done"] != summary["cells"]["total"] {
        problems.push(format!("cells are missing: {}", summary["cells"]));
    }
    if seconds > LIMIT_SECONDS {
        problems.push(format!("run-grid took {seconds:.0} s, over {LIMIT_SECONDS:.0} s"));
    }
    for file in ["report.md", "report.html", "static-and-dynamic.svg", "dial.svg"] {
        let path = clone.join("results/quick").join(file);
        if std::fs::metadata(&path).map_or(0, |file| file.len()) < 1000 {
            problems.push(format!("{} is missing or empty", path.display()));
        }
    }
    match git(clone, ["status", "--porcelain"]) {
        Ok(changed) if changed.is_empty() => {}
        Ok(changed) => problems.push(format!("the run left files that git sees:\n{changed}")),
        Err(error) => problems.push(format!("{error:#}")),
    }
    problems
}
