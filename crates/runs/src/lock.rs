//! One worker at a time in a results folder.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::StoreError;

/// Held while a worker runs; dropped with the process, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

fn lock_path(folder: &Path) -> PathBuf {
    folder.join(".lock")
}

/// Takes the lock of `folder`, or says who holds it.
pub(crate) fn acquire(folder: &Path) -> Result<Lock, StoreError> {
    let path = lock_path(folder);
    // The text of another holder must survive a failed attempt, hence no truncation on opening.
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(StoreError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = description(&mut file);
            return Err(StoreError::Locked { path: folder.to_owned(), holder });
        }
        Err(TryLockError::Error(source)) => {
            return Err(StoreError::Io { action: "lock", path, source });
        }
    }
    let description = format!("process {}\n", std::process::id());
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(description.as_bytes()))
        .map_err(StoreError::io("write", &path))?;
    Ok(Lock { file })
}

/// Who holds the lock of `folder`, as it described itself; none where nobody does.
///
/// Nothing is written. The look takes a shared lock for a moment.
pub(crate) fn holder(folder: &Path) -> Result<Option<String>, StoreError> {
    let path = lock_path(folder);
    if !path.exists() {
        return Ok(None);
    }
    let mut file = File::open(&path).map_err(StoreError::io("open", &path))?;
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(description(&mut file))),
        Err(TryLockError::Error(source)) => Err(StoreError::Io { action: "lock", path, source }),
    }
}

/// What the holder of the lock wrote into it.
fn description(file: &mut File) -> String {
    let mut text = String::new();
    // A courtesy: the lock holds without it.
    let _ = file.read_to_string(&mut text);
    match text.trim() {
        "" => "another process".to_owned(),
        text => text.to_owned(),
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file releases the lock anyway; emptying it only keeps the folder tidy.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}
