//! The programs that nodes run: copies in the run's folder, named by their hash, so that a rebuilt checkout
//! changes nothing for tasks that wait in the queue.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

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
