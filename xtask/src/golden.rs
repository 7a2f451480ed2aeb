//! `golden`: makes the golden checkpoints and tokenizers again, and the expected logits of the small
//! models, with the reference implementations.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use plan::exit::DONE;

use crate::python;
use crate::report::status;
use crate::workspace::Workspace;

const EXAMPLES: &str = "\
Examples:
  cargo xtask golden                      # makes target/golden-venv with pip (about 5 GB), once
  cargo xtask golden --python ~/venv/bin/python
  git diff --stat crates/models/tests crates/corpora/tests crates/cuts/tests

The scripts are seeded: with the packages of requirements.txt they write the files that are committed.";

/// Arguments of `golden`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A Python that has the packages of crates/models/tests/golden/requirements.txt
    #[arg(long, value_name = "PYTHON")]
    python: Option<PathBuf>,
}

/// Runs the command; the value is the exit code of the scripts.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    let golden = workspace.root().join("crates/models/tests/golden");
    let python = match &args.python {
        Some(python) => python.clone(),
        None => python::environment(workspace, "golden-venv", &golden.join("requirements.txt"))?,
    };
    let tokenizers = workspace.root().join("crates/corpora/tests/golden/make.py");
    let trained = golden.with_file_name("trained").join("make.py");
    let cuts = workspace.root().join("crates/cuts/tests/golden/make.py");
    for script in [golden.join("all.py"), trained, tokenizers, cuts] {
        let code = status(Command::new(&python).arg(script))?;
        if code != DONE {
            return Ok(code);
        }
    }
    Ok(DONE)
}
