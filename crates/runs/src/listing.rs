//! Which folders are runs.

use std::fs;
use std::path::{Path, PathBuf};

use plan::AdviceSpace;

use crate::{StoreError, Table};

/// The copy of the pipeline, or of the space of recipes, in a run's folder.
pub const PLAN: &str = "plan.toml";
/// The file of a run that holds its last work order.
pub const ORDER: &str = "order.json";
/// The table of what `cargo xtask speed` measured.
pub const SPEED: &str = "speed.parquet";

/// The runs in `folder`: itself, or the folders in it, sorted by name; none where neither is a run.
///
/// # Errors
/// [`StoreError::Io`] when the folder cannot be listed.
pub fn runs_in(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let unreadable = |source| StoreError::Io { action: "list", path: folder.to_owned(), source };
    let entries = fs::read_dir(folder).map_err(unreadable)?;
    if is_run(folder) {
        return Ok(vec![folder.to_owned()]);
    }
    let paths: Result<Vec<PathBuf>, _> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut runs: Vec<PathBuf> =
        paths.map_err(unreadable)?.into_iter().filter(|path| is_run(path)).collect();
    runs.sort();
    Ok(runs)
}

/// The space of recipes that a run searches; none where the run is a grid.
pub fn space_of(run: &Path) -> Option<AdviceSpace> {
    AdviceSpace::parse(&fs::read_to_string(run.join(PLAN)).ok()?).ok()
}

/// Whether results or an order of results lie there.
fn is_run(folder: &Path) -> bool {
    let has_table = Table::ALL.iter().any(|table| folder.join(table.folder()).is_dir());
    has_table || [ORDER, SPEED].iter().any(|file| folder.join(file).is_file())
}
