//! Files and folders that appear complete or not at all; and what lies in the place of a file that was not fetched.
//!
//! A file is written under a temporary name in the folder of its final one, flushed to the disk, renamed,
//! and the folder is flushed too: a final name always has the whole of what was meant, whatever stops
//! the process, the disk or the machine on the way. What was there before stays until then.
//!
//! ```
//! # fn main() -> Result<(), files::WriteError> {
//! # let folder = std::env::temp_dir().join(format!("files-{}", std::process::id()));
//! files::create_folders(&folder)?;
//! files::write(&folder.join("report.md"), b"# Report\n")?;
//! # let _ = std::fs::remove_dir_all(&folder);
//! # Ok(())
//! # }
//! ```

mod folder;
mod process;
mod stand_in;

pub use folder::{FolderDraft, refuse_what_cannot_be_made, refuse_what_is_there};
pub use process::Process;
pub use stand_in::StandIn;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Ending of files that are not finished. A process that was killed may leave some behind.
pub const TEMPORARY: &str = ".tmp";

/// A name beside `path` that no other process and no other call has, and that says whose it is:
/// `.NAME.PROCESS.NUMBER.tmp`.
///
/// A leftover of a killed process may have a name of its own number; it is never that of a living one.
pub fn temporary_name(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default();
    path.with_file_name(format!(".{}.{}.{number}{TEMPORARY}", name.display(), Process::own()))
}

/// Whose unfinished file a name is; none where it is no such name.
pub fn owner_of(name: &str) -> Option<Process> {
    let inner = name.strip_prefix('.')?.strip_suffix(TEMPORARY)?;
    let (inner, _number) = inner.rsplit_once('.')?;
    Process::parse(inner.rsplit_once('.')?.1)
}

/// Why a file could not be written.
#[derive(Debug)]
pub struct WriteError {
    /// What was tried: `create`, `write`, `sync`, `rename`.
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl std::fmt::Display for WriteError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "cannot {} {}", self.action, self.path.display())
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> WriteError + 'a {
    move |source| WriteError { action, path: path.to_owned(), source }
}

/// A file that has no name yet. Dropped before [`Draft::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct Draft {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    is_finished: bool,
}

impl Draft {
    /// Begins the file that will be `path`, in a folder that exists. Its permissions are those of any
    /// new file.
    ///
    /// # Errors
    /// When `path` names no file or nothing can be created in its folder.
    pub fn begin(path: &Path) -> Result<Draft, WriteError> {
        if path.file_name().is_none() {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "it names no file");
            return Err(failed("create", path)(source));
        }
        loop {
            // What has the name already keeps it.
            let temporary = temporary_name(path);
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(file) => {
                    let path = path.to_owned();
                    return Ok(Draft { file, temporary, path, is_finished: false });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("create", path)(error)),
            }
        }
    }

    /// The name that the file will have.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the bytes go until they are complete.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives the file its name, once its bytes are on the disk.
    ///
    /// # Errors
    /// When the disk refuses; then what had the name before still has it.
    pub fn finish(mut self) -> Result<(), WriteError> {
        self.file.sync_all().map_err(failed("sync", &self.path))?;
        fs::rename(&self.temporary, &self.path).map_err(failed("rename", &self.path))?;
        self.is_finished = true;
        sync_folder(folder_of(&self.path))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_finished {
            // Already on the way out with an error: a leftover has a temporary name and is harmless.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Writes the whole of a file into a folder that exists.
///
/// # Errors
/// When the disk refuses; then what had the name before still has it.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let mut draft = Draft::begin(path)?;
    draft.file().write_all(bytes).map_err(failed("write", path))?;
    draft.finish()
}

/// The folder of a file; of a bare name the current one.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a folder and those above it, each made durable in its parent.
///
/// # Errors
/// When one cannot be made.
pub fn create_folders(folder: &Path) -> Result<(), WriteError> {
    if folder.is_dir() || folder.as_os_str().is_empty() {
        return Ok(());
    }
    let parent = folder_of(folder);
    create_folders(parent)?;
    match fs::create_dir(folder) {
        Ok(()) => sync_folder(parent),
        Err(_) if folder.is_dir() => Ok(()),
        Err(source) => Err(failed("create folder", folder)(source)),
    }
}

/// Makes the names in a folder durable.
///
/// # Errors
/// When it cannot be opened or the disk refuses.
pub fn sync_folder(folder: &Path) -> Result<(), WriteError> {
    let synced = File::open(folder).and_then(|handle| handle.sync_all());
    synced.map_err(failed("sync folder", folder))
}
