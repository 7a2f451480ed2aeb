//! Python for what is compared with Python: an environment of its own under `target`, made when it is
//! not there.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::workspace::Workspace;

/// The Python of `target/<name>` with the packages of a requirements file.
pub(crate) fn environment(
    workspace: &Workspace,
    name: &str,
    requirements: &Path,
) -> Result<PathBuf> {
    let folder = workspace.root().join("target").join(name);
    let python = folder.join("bin/python");
    let ready = folder.join("ready");
    let wanted = std::fs::read_to_string(requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    // What was installed is written down, so that changed requirements are installed again.
    if std::fs::read_to_string(&ready).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    eprintln!("installing the packages of {} into {}", requirements.display(), folder.display());
    succeed(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    succeed(Command::new(&python).args(["-m", "pip", "install", "-q", "-r"]).arg(requirements))?;
    std::fs::write(&ready, wanted).context("cannot mark the environment as ready")?;
    Ok(python)
}

/// Runs a command whose output does not matter.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let status = command.stdout(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot start {command:?}"))?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}

/// What a run prints on standard output.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::piped()).output().context("cannot start a run")?;
    if !output.status.success() {
        bail!("a run failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The JSON object on the last line of what a run prints.
pub(crate) fn object(command: &mut Command) -> Result<Value> {
    let text = output_of(command)?;
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).context("a run printed no JSON object")
}
