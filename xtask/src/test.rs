//! `test`: every test of the workspace, or those that take seconds.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use plan::exit::DONE;

use crate::build::cargo;
use crate::report::status;
use crate::slow_tests::SLOW;
use crate::workspace::Workspace;

const NEXTEST: &[&str] = &["nextest", "run"];

const EXAMPLES: &str = "\
Examples:
  cargo xtask test                    every test, the examples in the documentation among them
  cargo xtask test --fast             while you work: it lists what it leaves out
  cargo xtask test -p plan
  cargo xtask test kill -- --nocapture

Tests run under cargo-nextest where it is installed, unless something is passed on to `cargo test`.
With SLIM_REQUIRE=1 a test fails that would skip because weights or texts are not there.";

/// Arguments of `test`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Leave out what takes long, and say what that is
    #[arg(long)]
    fast: bool,
    /// Passed on to `cargo test`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// Runs the tests; the value is the exit code of the first program that fails.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    if args.fast {
        if !args.args.is_empty() {
            bail!("--fast runs the whole workspace: pass nothing on to `cargo test` beside it");
        }
        return fast(workspace);
    }
    // What is passed on is in the words of cargo test.
    if !args.args.is_empty() {
        return status(&mut passed_on(workspace, &args.args));
    }
    if !has_nextest() {
        return status(&mut in_workspace(workspace, &["test"], &["--workspace"]));
    }
    let code = status(&mut in_workspace(workspace, NEXTEST, &["--workspace"]))?;
    if code != DONE {
        return Ok(code);
    }
    // nextest runs no examples of the documentation.
    status(&mut in_workspace(workspace, &["test"], &["--workspace", "--doc"]))
}

fn fast(workspace: &Workspace) -> Result<i32> {
    let code = if has_nextest() {
        let mut command = in_workspace(workspace, NEXTEST, &["--workspace"]);
        status(command.arg("--filterset").arg(filterset()))?
    } else {
        let kinds = ["--workspace", "--lib", "--bins", "--tests", "--", "--exact"];
        let mut command = in_workspace(workspace, &["test"], &kinds);
        for (_, tests) in SLOW {
            command.args(tests.iter().flat_map(|test| ["--skip", test]));
        }
        status(&mut command)?
    };
    eprintln!("left out by --fast (`cargo xtask test` runs them):");
    eprintln!("  the examples of the documentation");
    for (package, tests) in SLOW {
        eprintln!("  {package}: {}", tests.join(", "));
    }
    Ok(code)
}

/// What nextest is to run: all tests but the slow ones.
fn filterset() -> String {
    let one = |package: &str, tests: &[&str]| {
        let names: Vec<String> = tests.iter().map(|test| format!("test(={test})")).collect();
        format!("(package(={package}) & ({}))", names.join(" | "))
    };
    let slow: Vec<String> = SLOW.iter().map(|(package, tests)| one(package, tests)).collect();
    format!("not ({})", slow.join(" | "))
}

fn passed_on(workspace: &Workspace, args: &[OsString]) -> Command {
    let mut command = in_workspace(workspace, &["test"], &[]);
    // One package asked for by name is not the whole workspace.
    let is_package = |arg: &OsString| arg == "-p" || arg == "--package";
    if !args.iter().any(is_package) {
        command.arg("--workspace");
    }
    command.args(args);
    command
}

/// A cargo command on the built dependencies; it refuses a lock file that is not up to date.
fn in_workspace(workspace: &Workspace, verb: &[&str], words: &[&str]) -> Command {
    let mut command = cargo();
    command.args(verb).args(["--locked", "--release"]).args(words).current_dir(workspace.root());
    command
}

fn has_nextest() -> bool {
    let mut command = cargo();
    command.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
