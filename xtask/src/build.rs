//! The other binaries: built on demand, or named by the environment.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use plan::DeviceName;
use serde_json::Value;

use crate::workspace::Workspace;

/// The binaries that this program spawns.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) worker: PathBuf,
    pub(crate) report: PathBuf,
}

/// The cargo that started this program.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}

/// Builds `worker` and `report`, unless `SLIM_WORKER` and `SLIM_REPORT` name ready ones.
pub(crate) fn programs(workspace: &Workspace) -> Result<Programs> {
    let ready = |name| env::var_os(name).map(PathBuf::from);
    let (worker, report) = (ready("SLIM_WORKER"), ready("SLIM_REPORT"));
    if let (Some(worker), Some(report)) = (&worker, &report) {
        return Ok(Programs { worker: worker.clone(), report: report.clone() });
    }
    let built = build(workspace, &["worker", "report"], "up to half an hour")?;
    let find = |given: Option<PathBuf>, name: &str| match given {
        Some(path) => Ok(path),
        None => find(&built, name),
    };
    Ok(Programs { worker: find(worker, "worker")?, report: find(report, "report")? })
}

/// The worker that can reach a device; a GPU needs one of its own, in `target/gpu`.
pub(crate) fn worker_for(
    workspace: &Workspace,
    programs: &Programs,
    device: DeviceName,
) -> Result<PathBuf> {
    let Some(feature) = device.feature().filter(|_| env::var_os("SLIM_WORKER").is_none()) else {
        return Ok(programs.worker.clone());
    };
    eprintln!("building a worker for {device}: the first time takes up to half an hour");
    let mut command = cargo();
    command.args(["build", "--release", "--package", "worker", "--features", feature]);
    command.arg("--target-dir").arg(gpu_target(workspace));
    let built = run_cargo(workspace, command, "the worker")?;
    built.get("worker").cloned().context("cargo built no `worker`")
}

/// Where builds for GPUs go: their features would make everything else be built again.
pub(crate) fn gpu_target(workspace: &Workspace) -> PathBuf {
    workspace.root().join("target/gpu")
}

/// Builds `hub`, which fetches files of the Hugging Face Hub, unless `SLIM_HUB` names a ready one.
pub(crate) fn hub(workspace: &Workspace) -> Result<PathBuf> {
    match env::var_os("SLIM_HUB") {
        Some(ready) => Ok(PathBuf::from(ready)),
        None => find(&build(workspace, &["hub"], "some five minutes")?, "hub"),
    }
}

/// Builds `training`, unless `SLIM_TRAINING` names a ready one.
pub(crate) fn training(workspace: &Workspace) -> Result<PathBuf> {
    match env::var_os("SLIM_TRAINING") {
        Some(ready) => Ok(PathBuf::from(ready)),
        None => find(&build(workspace, &["training"], "up to ten minutes")?, "training"),
    }
}

fn find(built: &BTreeMap<String, PathBuf>, name: &str) -> Result<PathBuf> {
    built.get(name).cloned().with_context(|| format!("cargo built no `{name}`"))
}

/// Builds some binaries; the value says where each lies.
///
/// The whole workspace is named, so that its dependencies are built with the same features whatever
/// the binaries are.
fn build(
    workspace: &Workspace,
    names: &[&str],
    first_time: &str,
) -> Result<BTreeMap<String, PathBuf>> {
    let mut command = cargo();
    command.args(["build", "--release", "--workspace"]);
    command.args(names.iter().flat_map(|name| ["--bin", name]));
    let beside = |name: &&str| env::current_exe().map(|path| path.with_file_name(name));
    let is_first = names.iter().any(|name| beside(name).is_ok_and(|path| !path.exists()));
    let list = names.join(" and ");
    if is_first {
        eprintln!("building {list}: the first time takes {first_time}");
    }
    // A long first build shows cargo's own progress; later ones are short and say nothing.
    if !(is_first && std::io::stderr().is_terminal()) {
        command.arg("--quiet");
    }
    run_cargo(workspace, command, &list)
}

/// Runs a build; the value says where each executable lies.
fn run_cargo(
    workspace: &Workspace,
    mut command: Command,
    list: &str,
) -> Result<BTreeMap<String, PathBuf>> {
    let output = command
        .arg("--message-format=json-render-diagnostics")
        .current_dir(workspace.root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("building {list} failed (see above)");
    }
    let mut built = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
        let name = message["target"]["name"].as_str();
        if let (Some(name), Some(path)) = (name, message["executable"].as_str()) {
            built.insert(name.to_owned(), PathBuf::from(path));
        }
    }
    Ok(built)
}
