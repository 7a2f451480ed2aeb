//! The other binaries: built on demand, or named by the environment.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use plan::DeviceName;

use crate::building::Building;
use crate::workspace::Workspace;

/// The cargo that started this program.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}

/// A program that is ready, or being built.
#[derive(Debug)]
pub(crate) enum Program {
    Ready(PathBuf),
    Building(&'static str, Building),
}

impl Program {
    /// Waits for the build, showing its progress; the value is where the program lies.
    ///
    /// # Errors
    /// A build that failed; what the compiler said has been printed.
    pub(crate) fn path(self) -> Result<PathBuf> {
        match self {
            Program::Ready(path) => Ok(path),
            Program::Building(name, building) => {
                let mut built = building.finish()?;
                built.remove(name).with_context(|| format!("cargo built no `{name}`"))
            }
        }
    }
}

/// The worker, unless `SLIM_WORKER` names a ready one.
pub(crate) fn worker(workspace: &Workspace) -> Result<PathBuf> {
    start(workspace, "worker", "SLIM_WORKER")?.path()
}

/// The worker that can reach a device; a GPU needs one of its own, in `target/gpu`.
pub(crate) fn worker_for(workspace: &Workspace, device: DeviceName) -> Result<PathBuf> {
    let Some(feature) = device.feature().filter(|_| env::var_os("SLIM_WORKER").is_none()) else {
        return worker(workspace);
    };
    let mut command = cargo();
    command.args(["build", "--locked", "--release", "--package", "worker", "--features", feature]);
    command.arg("--target-dir").arg(gpu_target(workspace));
    let building = Building::start(workspace, command, format!("a worker for {device}"))?;
    Program::Building("worker", building).path()
}

/// Where builds for GPUs go: their features would make everything else be built again.
pub(crate) fn gpu_target(workspace: &Workspace) -> PathBuf {
    workspace.root().join("target/gpu")
}

/// Starts to build `report`, unless `SLIM_REPORT` names a ready one.
pub(crate) fn start_report(workspace: &Workspace) -> Result<Program> {
    start(workspace, "report", "SLIM_REPORT")
}

/// The report binary, see [`start_report`].
pub(crate) fn report(workspace: &Workspace) -> Result<PathBuf> {
    start_report(workspace)?.path()
}

/// `hub`, which fetches files of the Hugging Face Hub, unless `SLIM_HUB` names a ready one.
pub(crate) fn hub(workspace: &Workspace) -> Result<PathBuf> {
    start(workspace, "hub", "SLIM_HUB")?.path()
}

/// `training`, unless `SLIM_TRAINING` names a ready one.
pub(crate) fn training(workspace: &Workspace) -> Result<PathBuf> {
    start(workspace, "training", "SLIM_TRAINING")?.path()
}

/// Starts to build a binary, unless the environment names a ready one.
///
/// The whole workspace is named, so that its dependencies are built with the same features whatever
/// the binary is.
fn start(workspace: &Workspace, name: &'static str, ready: &str) -> Result<Program> {
    if let Some(path) = env::var_os(ready) {
        return Ok(Program::Ready(PathBuf::from(path)));
    }
    let mut command = cargo();
    command.args(["build", "--locked", "--release", "--workspace", "--bin", name]);
    let building = Building::start(workspace, command, format!("`{name}`"))?;
    Ok(Program::Building(name, building))
}
