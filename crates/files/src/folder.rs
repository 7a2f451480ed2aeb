//! Folders that appear complete or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use crate::{
    TEMPORARY, WriteError, create_folders, failed, folder_of, sync_folder, temporary_name,
};

/// A folder that has no name yet. Dropped before [`FolderDraft::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct FolderDraft {
    temporary: PathBuf,
    path: PathBuf,
    is_finished: bool,
}

impl FolderDraft {
    /// Begins the folder that will be `path`; those above it are made.
    ///
    /// # Errors
    /// When something has the name already, or nothing can be created beside it.
    pub fn begin(path: &Path) -> Result<FolderDraft, WriteError> {
        let Some(name) = path.file_name() else {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "it names no folder");
            return Err(failed("create", path)(source));
        };
        refuse_what_is_there(path)?;
        create_folders(folder_of(path))?;
        for number in 0_u64.. {
            // A leftover of a killed process, or of another machine on the same disk, keeps its name.
            let own = format!(".{}.{}-{number}{TEMPORARY}", name.display(), process::id());
            let temporary = path.with_file_name(own);
            match fs::create_dir(&temporary) {
                Ok(()) => {
                    let path = path.to_owned();
                    return Ok(FolderDraft { temporary, path, is_finished: false });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("create", path)(error)),
            }
        }
        unreachable!("some number is free")
    }

    /// Where the files go until they are complete. Each must be on the disk by itself, as
    /// [`write`](crate::write) leaves it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.temporary
    }

    /// Gives the folder its name.
    ///
    /// # Errors
    /// When the disk refuses, or something has got the name meanwhile, which then stays.
    pub fn finish(mut self) -> Result<(), WriteError> {
        sync_folder(&self.temporary)?;
        refuse_what_is_there(&self.path)?;
        fs::rename(&self.temporary, &self.path).map_err(failed("rename", &self.path))?;
        self.is_finished = true;
        sync_folder(folder_of(&self.path))
    }
}

/// Refuses a name that something has already. A folder that is empty would be replaced without a word.
///
/// # Errors
/// When something has the name.
pub fn refuse_what_is_there(path: &Path) -> Result<(), WriteError> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    let source = io::Error::new(io::ErrorKind::AlreadyExists, "it is there already");
    Err(failed("create", path)(source))
}

/// Refuses a name under which no folder can be made, before hours go into what it is to hold: tries it in
/// the nearest folder that is there, and leaves nothing.
///
/// # Errors
/// When nothing can be created there.
pub fn refuse_what_cannot_be_made(path: &Path) -> Result<(), WriteError> {
    let mut there = folder_of(path);
    while fs::symlink_metadata(there).is_err() {
        let above = folder_of(there);
        if above == there {
            break;
        }
        there = above;
    }
    let probe = temporary_name(&there.join("probe"));
    fs::create_dir(&probe).map_err(failed("create", path))?;
    fs::remove_dir(&probe).map_err(failed("remove", &probe))
}

impl Drop for FolderDraft {
    fn drop(&mut self) {
        if !self.is_finished {
            // Already on the way out with an error: a leftover has a temporary name and is harmless.
            let _ = fs::remove_dir_all(&self.temporary);
        }
    }
}
