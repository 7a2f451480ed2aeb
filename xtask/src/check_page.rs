//! `check page`: the report in a browser. A script of `crates/report/browser` opens it in headless
//! Chromium, presses what can be pressed, and takes screenshots.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use plan::exit::DONE;

use crate::exit::{Exit, OTHER};
use crate::report::status;
use crate::workspace::Workspace;

/// Where Debian puts the browser.
const CHROMIUM: &str = "/usr/bin/chromium";
/// The page that `cargo xtask run-grid` leaves behind.
const PAGE: &str = "results/quick/report.html";

/// Checks one page, by default the quick grid's; the value is the exit code. What is not installed is a
/// reason to skip, unless `require` says otherwise.
pub(crate) fn run(workspace: &Workspace, html: Option<&Path>, require: bool) -> Result<i32> {
    let chromium = env::var_os("CHROMIUM").map_or_else(|| PathBuf::from(CHROMIUM), PathBuf::from);
    let runs = |program: &Path| Command::new(program).arg("--version").output().is_ok();
    for program in [Path::new("node"), Path::new("npm"), &chromium] {
        if !runs(program) {
            let name = program.display();
            eprintln!(
                "skipped: check page, for {name} cannot be started; CHROMIUM names a browser"
            );
            return Ok(if require { OTHER } else { DONE });
        }
    }
    let html = html.map_or_else(|| workspace.root().join(PAGE), Path::to_owned);
    if !html.is_file() {
        let page = html.display();
        return Err(Exit::inputs(format!(
            "there is no page {page}: make one with `cargo xtask run-grid`, or name another by --html"
        ))
        .into());
    }
    let browser = workspace.root().join("crates/report/browser");
    install(&browser)?;
    let mut check = Command::new("node");
    check.arg(browser.join("check.mjs")).arg(&html);
    check.arg(workspace.root().join("target/page")).env("CHROMIUM", &chromium);
    Ok(if status(&mut check)? == DONE { DONE } else { OTHER })
}

/// Installs the packages of the lock file, unless these very ones are there.
fn install(browser: &Path) -> Result<()> {
    let lock = browser.join("package-lock.json");
    let wanted =
        fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    let ready = browser.join("node_modules/ready");
    if fs::read_to_string(&ready).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    eprintln!("installing the packages of {}", lock.display());
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-fund", "--no-audit", "--ignore-scripts", "--loglevel=error"]);
    crate::python::succeed(npm.current_dir(browser))?;
    fs::write(&ready, wanted).context("cannot mark the packages as installed")
}
