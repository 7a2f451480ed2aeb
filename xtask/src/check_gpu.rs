//! `check gpu`: what a machine without a GPU can prove of the GPU path.
//!
//! `cuda` is type-checked: its build script wants an LLVM bundle, which it leaves alone when it believes
//! to build documentation (`DOCS_RS`). `wgpu` is built and run through the golden tests, on Mesa's
//! software rasteriser where there is no GPU.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use plan::exit::DONE;

use crate::build::{cargo, gpu_target};
use crate::exit::OTHER;
use crate::report::status;
use crate::workspace::Workspace;

/// Where the loader of Vulkan looks for drivers.
const DRIVERS: [&str; 2] = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
/// The package of Debian and Ubuntu that holds a driver without a GPU.
const PACKAGE: &str = "mesa-vulkan-drivers";

/// Runs the command; the value is its exit code.
pub(crate) fn run(workspace: &Workspace) -> Result<i32> {
    let code = install_driver()?;
    if code != DONE {
        return Ok(code);
    }
    let runtime = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut check = in_gpu_target(workspace, &["check", "--package", "worker"]);
    check.args(["--features", "cuda"]).env("DOCS_RS", "1");
    let mut test = in_gpu_target(workspace, &["test", "--package", "models"]);
    test.args(["--features", "wgpu", "--test", "golden"]);
    // One device: tests side by side would only wait for each other.
    test.args(["--", "--no-capture", "--test-threads=1"]);
    test.env("SLIM_TEST_DEVICE", "wgpu").env("XDG_RUNTIME_DIR", runtime.path());
    for (what, mut command) in [("cuda: type check", check), ("wgpu: golden tests", test)] {
        eprintln!("{what}");
        let code = status(&mut command)?;
        if code != DONE {
            return Ok(code);
        }
        println!("{what}: passed");
    }
    Ok(DONE)
}

fn in_gpu_target(workspace: &Workspace, words: &[&str]) -> Command {
    let mut command = cargo();
    command.args(words).arg("--release").arg("--target-dir").arg(gpu_target(workspace));
    command.current_dir(workspace.root());
    command
}

/// Makes sure that Vulkan finds a driver.
fn install_driver() -> Result<i32> {
    let holds_driver = |folder: &&str| {
        Path::new(folder).read_dir().is_ok_and(|mut entries| entries.next().is_some())
    };
    if DRIVERS.iter().any(holds_driver) {
        return Ok(DONE);
    }
    eprintln!("no Vulkan driver: installing {PACKAGE}");
    let installed = Command::new("apt-get").args(["install", "--yes", PACKAGE]).status();
    if installed.is_ok_and(|status| status.success()) {
        return Ok(DONE);
    }
    eprintln!("error: {PACKAGE} cannot be installed: install a Vulkan driver and run this again");
    Ok(OTHER)
}
