//! The programs that nodes run: copies in the run's folder, named by their hash, so that a rebuilt checkout
//! changes nothing for tasks that wait in the queue.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use plan::DeviceName;

use crate::exit::Exit;
use crate::hashing::sha256_file;

/// A program, and its name in the run's folder.
#[derive(Debug)]
pub(super) struct Named {
    /// Where it was built.
    built: PathBuf,
    /// Where it lies for the nodes.
    pub(super) path: PathBuf,
}

/// What a program is called in a run's folder.
pub(super) fn named(folder: &Path, built: &Path, name: &str) -> Result<Named> {
    let hash = sha256_file(built).with_context(|| format!("cannot read {}", built.display()))?;
    let path = folder.join("programs").join(format!("{name}-{}", &hash[..16]));
    Ok(Named { built: built.to_owned(), path })
}

/// Puts a program there, once.
///
/// # Errors
/// Exit code 4 when the run's folder cannot be written to.
pub(super) fn keep(program: &Named) -> Result<()> {
    if program.path.is_file() {
        return Ok(());
    }
    let unusable = || Exit::results(format!("cannot write {}", program.path.display()));
    let place = || -> Result<()> {
        files::create_folders(files::folder_of(&program.path))?;
        // It is made whole under another name: a node starts all of it or nothing.
        let temporary = files::temporary_name(&program.path);
        fs::copy(&program.built, &temporary)?;
        fs::set_permissions(&temporary, fs::Permissions::from_mode(0o755))?;
        Ok(fs::rename(&temporary, &program.path)?)
    };
    place().with_context(unusable)
}

/// Asks the worker that the nodes will run whether it was built for their device: `SLIM_WORKER` may name any
/// build, and what a node finds out comes after hours in the queue.
///
/// # Errors
/// Exit code 2 when it was not.
pub(super) fn check_device(worker: &Path, device: DeviceName) -> Result<()> {
    let asked =
        Command::new(worker).arg("reaches").arg("--device").arg(device.to_string()).output();
    let answer = asked.with_context(|| format!("cannot start {}", worker.display()))?;
    if answer.status.success() {
        return Ok(());
    }
    let message = format!(
        "the worker {} cannot compute on {device}: unset SLIM_WORKER, and one is built that can; it says: {}",
        worker.display(),
        String::from_utf8_lossy(&answer.stderr).trim()
    );
    Err(Exit::usage(message).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_for_another_device_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let worker = folder.path().join("worker");
        let text =
            "#!/bin/sh\n[ \"$*\" = 'reaches --device cpu' ] || { echo 'error: no' >&2; exit 2; }\n";
        fs::write(&worker, text).unwrap();
        fs::set_permissions(&worker, fs::Permissions::from_mode(0o755)).unwrap();
        check_device(&worker, DeviceName::Cpu).unwrap();
        let error = check_device(&worker, DeviceName::Cuda(0)).unwrap_err();
        assert_eq!(crate::exit::code_of(&error), plan::exit::BAD_PIPELINE);
        let said = format!("{error:#}");
        assert!(said.contains("cuda:0") && said.contains("error: no"), "{said}");
    }
}
