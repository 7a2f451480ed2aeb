//! `test`: every test of the workspace.

use std::ffi::OsString;

use anyhow::Result;

use crate::build::cargo;
use crate::report::status;
use crate::workspace::Workspace;

const EXAMPLES: &str = "\
Examples:
  cargo xtask test
  cargo xtask test -p plan
  cargo xtask test kill -- --nocapture";

/// Arguments of `test`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Passed on to `cargo test`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// Runs `cargo test --release --workspace` with the given arguments.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    let mut command = cargo();
    command.args(["test", "--release"]).current_dir(workspace.root());
    // One package asked for by name is not the whole workspace.
    let is_package = |arg: &OsString| arg == "-p" || arg == "--package";
    if !args.args.iter().any(is_package) {
        command.arg("--workspace");
    }
    status(command.args(&args.args))
}
