//! A claims file, read and checked.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use plan::Claims;

/// A claims file that was read.
pub struct ClaimsFile {
    /// Where it lies.
    pub path: PathBuf,
    /// What it says.
    pub claims: Claims,
}

impl ClaimsFile {
    /// Reads and checks a claims file.
    ///
    /// # Errors
    /// When it cannot be read, or with every mistake in it.
    pub fn read(path: &Path) -> Result<ClaimsFile> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read the claims file {}", path.display()))?;
        let claims = Claims::parse(&text)
            .map_err(|mistakes| anyhow!("the claims file {}: {mistakes}", path.display()))?;
        Ok(ClaimsFile { path: path.to_owned(), claims })
    }
}
