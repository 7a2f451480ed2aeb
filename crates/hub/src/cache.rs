//! A repository's folder in the cache: blobs by ETag, snapshots by name, refs by branch.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use plan::{HubCache, RepositoryKind};
use sha2::{Digest, Sha256};

use crate::HubError;

/// A repository's folder in the cache.
pub(crate) struct Folder {
    folder: PathBuf,
    locks: PathBuf,
}

impl Folder {
    pub(crate) fn new(cache: &HubCache, kind: RepositoryKind, repo: &str) -> Folder {
        let folder = cache.repository(kind, repo);
        let name = folder.file_name().unwrap_or_default();
        Folder { locks: cache.0.join(".locks").join(name), folder }
    }

    /// Where a file lies, or will.
    pub(crate) fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    /// Where its first bytes lie until the last one is there.
    pub(crate) fn incomplete(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(format!("{etag}.incomplete"))
    }

    /// Where it has its name.
    pub(crate) fn named(&self, commit: &str, path: &str) -> PathBuf {
        self.snapshot(commit).join(path)
    }

    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// The commit that a revision stood for when it was fetched last.
    pub(crate) fn commit_of(&self, revision: &str) -> Option<String> {
        if self.snapshot(revision).is_dir() {
            return Some(revision.to_owned());
        }
        let text = fs::read_to_string(self.folder.join("refs").join(revision)).ok()?;
        Some(text.trim().to_owned())
    }

    /// Remembers which commit a revision stands for.
    pub(crate) fn set_ref(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        let path = self.folder.join("refs").join(revision);
        let temporary = temporary(&path);
        make_parent(&path)
            .and_then(|()| fs::write(&temporary, commit))
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(cannot_write(&path))
    }

    /// Everything that a snapshot holds, by path.
    pub(crate) fn files(&self, commit: &str) -> Result<Vec<String>, HubError> {
        let root = self.snapshot(commit);
        let (mut files, mut folders) = (Vec::new(), vec![root.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(cannot_read(&folder))? {
                let path = entry.map_err(cannot_read(&folder))?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(path) = path.strip_prefix(&root)
                    && let Some(path) = path.to_str()
                {
                    files.push(path.replace('\\', "/"));
                }
            }
        }
        files.sort();
        Ok(files)
    }

    /// Gives a blob its name in a snapshot.
    pub(crate) fn link(&self, commit: &str, path: &str, etag: &str) -> Result<(), HubError> {
        let named = self.named(commit, path);
        // From the file's folder up to the repository's: `snapshots`, the commit, folders of the path.
        let up = 2 + path.matches('/').count();
        let blob = [PathBuf::from("../".repeat(up)), PathBuf::from("blobs"), PathBuf::from(etag)];
        let target: PathBuf = blob.iter().collect();
        if fs::read_link(&named).is_ok_and(|there| there == target) {
            return Ok(());
        }
        let temporary = temporary(&named);
        make_parent(&named)
            .and_then(|()| point(&target, &self.blob(etag), &temporary))
            .and_then(|()| fs::rename(&temporary, &named))
            .map_err(cannot_write(&named))
    }

    /// The ETag of a file of a snapshot, where the name is a link.
    pub(crate) fn etag(&self, commit: &str, path: &str) -> Option<String> {
        let target = fs::read_link(self.named(commit, path)).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }

    /// Waits until no other process works on the blob; the lock ends with the value.
    pub(crate) fn lock(&self, etag: &str) -> Result<File, HubError> {
        let path = self.locks.join(format!("{etag}.lock"));
        let lock = || {
            make_parent(&path)?;
            make_parent(&self.blob(etag))?;
            let file = File::options().create(true).truncate(false).write(true).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        lock().map_err(cannot_write(&path))
    }
}

/// A link where the system has them for everyone, else a copy.
#[cfg(unix)]
fn point(target: &Path, _blob: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(not(unix))]
fn point(_target: &Path, blob: &Path, link: &Path) -> io::Result<()> {
    fs::copy(blob, link).map(drop)
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

/// A name beside `path` that no other process uses.
fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}

/// SHA-256 of a file in lower-case hex, and its size.
pub(crate) fn sha256(path: &Path) -> Result<(String, u64), HubError> {
    let hash = || {
        let mut file = File::open(path)?;
        let (mut hasher, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                n => {
                    hasher.update(&buffer[..n]);
                    bytes += n as u64;
                }
            }
        }
        let digest = hasher.finalize();
        Ok((digest.iter().map(|byte| format!("{byte:02x}")).collect(), bytes))
    };
    hash().map_err(cannot_read(path))
}

pub(crate) fn cannot_write(path: &Path) -> impl Fn(io::Error) -> HubError {
    move |source| HubError::Write { path: path.to_owned(), source }
}

pub(crate) fn cannot_read(path: &Path) -> impl Fn(io::Error) -> HubError {
    move |source| HubError::Read { path: path.to_owned(), source }
}
