//! SHA-256 of files and of model folders.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// A digest as lower-case hex.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The SHA-256 of a file, as lower-case hex.
pub(crate) fn sha256_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            n_bytes => hasher.update(&buffer[..n_bytes]),
        }
    }
}

/// The files of a model folder that decide its numbers, sorted by name: `config.json` and every
/// `*.safetensors`.
pub(crate) fn weight_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_weights = path.extension().is_some_and(|ending| ending == "safetensors");
        if is_weights || path.file_name().is_some_and(|name| name == "config.json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The digest of a model folder: the SHA-256 over one line `NAME SHA256\n` per weight file.
pub(crate) fn sha256_folder(folder: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    for path in weight_files(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        hasher.update(format!("{name} {}\n", sha256_file(&path)?));
    }
    Ok(hex(&hasher.finalize()))
}
