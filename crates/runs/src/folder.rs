//! The folder of one run: opened, swept, listed by names.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use files::Process;

use crate::claims::{BEAT, CLAIMS, Holder, read, remove, remove_claim};
use crate::{Claims, MANY, NO_WINDOW, Pace, StoreError, Table, swap};

/// Folders between a table and its files: model, dataset, sparsity, window.
const PARTITION_DEPTH: usize = 4;

/// A file with a final name; nobody has looked into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFile {
    /// The cell that its name says; none where it holds many ([`crate::MANY`]).
    pub id: Option<String>,
    /// The table whose folder it lies in.
    pub table: Table,
    /// Where it lies.
    pub path: PathBuf,
}

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    folder: PathBuf,
}

impl RunFolder {
    /// Opens a run's folder for writing: makes it, proves that it can be written to, and sweeps up
    /// what processes of this machine left that are not there any more.
    ///
    /// # Errors
    /// [`StoreError::NotAFolder`] or [`StoreError::NotWritable`].
    pub fn open(folder: &Path) -> Result<RunFolder, StoreError> {
        check_is_folder(folder)?;
        let not_writable = |source| StoreError::NotWritable { path: folder.to_owned(), source };
        files::create_folders(folder).map_err(|error| not_writable(error.source))?;
        // Permissions say little (root, read-only mounts, full disks): really write something.
        let probe = files::temporary_name(&folder.join("probe"));
        let written = fs::write(&probe, b"slim");
        let removed = fs::remove_file(&probe);
        written.and(removed).map_err(not_writable)?;
        sweep(folder, &|process| process.is_living() == Some(false))?;
        Ok(RunFolder { folder: folder.to_owned() })
    }

    /// Opens a run's folder for reading only; it may be absent, which is an empty run.
    ///
    /// # Errors
    /// [`StoreError::NotAFolder`].
    pub fn open_read_only(folder: &Path) -> Result<RunFolder, StoreError> {
        check_is_folder(folder)?;
        Ok(RunFolder { folder: folder.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Begins to take part in the run: cells can be claimed then.
    ///
    /// # Errors
    /// As [`Claims::join`].
    pub fn join(&self, pace: Pace) -> Result<Claims, StoreError> {
        Claims::join(&self.folder, pace)
    }

    /// Who is at work in the run, as people read it; none where nobody is.
    ///
    /// Of processes on other machines it is said that they are at work until somebody finds them silent.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the folder cannot be listed.
    pub fn at_work(&self) -> Result<Option<String>, StoreError> {
        let mut files = Vec::new();
        list_files(&self.folder.join(CLAIMS), 0, &mut files)?;
        let living = |path: &PathBuf| {
            let name = path.file_name()?.to_str()?.strip_suffix(BEAT)?;
            let process = Holder::parse(name)?.process;
            (process.is_living() != Some(false)).then(|| process.describe())
        };
        let mut living = files.iter().filter_map(living);
        let first = living.next();
        Ok(first.map(|first| match living.count() {
            0 => first,
            others => format!("{first} with {others} more"),
        }))
    }

    /// Every file with a final name, by table and path.
    ///
    /// # Errors
    /// [`StoreError::Io`] when a folder cannot be listed.
    pub fn files(&self) -> Result<Vec<TableFile>, StoreError> {
        let mut files = Vec::new();
        for &table in Table::ALL {
            let mut paths = Vec::new();
            list_files(&self.folder.join(table.folder()), PARTITION_DEPTH, &mut paths)?;
            for path in paths {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let stem = name.strip_suffix(".parquet").filter(|stem| !stem.starts_with('.'));
                if let Some(stem) = stem {
                    let id = (!stem.starts_with(MANY)).then(|| stem.to_owned());
                    files.push(TableFile { id, table, path });
                }
            }
        }
        Ok(files)
    }

    /// Folders that a compaction left beside the run when its process died, each with the partition of which
    /// rows lie there until the run is opened for writing.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the folder beside it cannot be listed.
    pub fn interrupted(&self) -> Result<Vec<(PathBuf, PathBuf)>, StoreError> {
        swap::hiding(&self.folder, &|process| process.is_living() == Some(false))
    }

    /// Where the results of a cell lie once it is done, in a file of its own; `tables` knows whether they
    /// were folded into one with others, in the same folder.
    ///
    /// # Errors
    /// [`StoreError::Name`] when the model's or dataset's name cannot be part of a path.
    pub fn result_path(&self, id: &str, cell: &plan::Cell) -> Result<PathBuf, StoreError> {
        let table = Table::of(cell);
        let window = match cell.recipe.window() {
            Some(tokens) => tokens.to_string(),
            None => NO_WINDOW.to_owned(),
        };
        Ok(self
            .folder
            .join(table.folder())
            .join(format!("model={}", check_name("model", &cell.model)?))
            .join(format!("dataset={}", check_name("dataset", &cell.dataset)?))
            .join(format!("sparsity={}", cell.recipe.sparsity()))
            .join(format!("window={window}"))
            .join(format!("{}.parquet", check_name("cell id", id)?)))
    }

    /// Where the failure of a cell is recorded.
    ///
    /// # Errors
    /// [`StoreError::Name`] when the id cannot be part of a path.
    pub fn failure_path(&self, id: &str) -> Result<PathBuf, StoreError> {
        let name = format!("{}.parquet", check_name("cell id", id)?);
        Ok(self.folder.join(Table::Failures.folder()).join(name))
    }
}

/// The folder, or the nearest thing above it that is there, must be a folder.
fn check_is_folder(folder: &Path) -> Result<(), StoreError> {
    let mut above = folder.ancestors().filter(|path| !path.as_os_str().is_empty());
    match above.find(|path| path.symlink_metadata().is_ok()) {
        Some(present) if !present.is_dir() => Err(StoreError::NotAFolder(present.to_owned())),
        _ => Ok(()),
    }
}

pub(crate) fn check_name<'a>(what: &'static str, name: &'a str) -> Result<&'a str, StoreError> {
    plan::check_folder_name(name).map_err(|source| StoreError::Name { what, source })?;
    Ok(name)
}

/// The files below `folder`, at most `depth` folders down, sorted; an absent folder has none.
pub(crate) fn list_files(
    folder: &Path,
    depth: usize,
    files: &mut Vec<PathBuf>,
) -> Result<(), StoreError> {
    let list = || -> std::io::Result<Vec<(PathBuf, bool)>> {
        let entries = fs::read_dir(folder)?.map(|entry| {
            let entry = entry?;
            let kind = entry.file_type()?;
            let path = entry.path();
            // The kind comes with the name; only what a link leads to has to be asked for.
            let is_folder = if kind.is_symlink() { path.is_dir() } else { kind.is_dir() };
            Ok((path, is_folder))
        });
        entries.collect()
    };
    let mut paths = match list() {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(());
        }
        listed => listed.map_err(StoreError::io("list", folder))?,
    };
    paths.sort();
    for (path, is_folder) in paths {
        if !is_folder {
            files.push(path);
        } else if depth > 0 {
            list_files(&path, depth - 1, files)?;
        }
    }
    Ok(())
}

/// Removes what processes left unfinished in a run: files under temporary names, claims and beats. The swap
/// of a partition that one died in is ended or undone.
///
/// # Errors
/// When a folder cannot be listed or a file not removed.
pub(crate) fn sweep(run: &Path, whose: &dyn Fn(&Process) -> bool) -> Result<(), StoreError> {
    swap::recover(run, whose)?;
    let claims = run.join(CLAIMS);
    remove_temporaries(run, 0, whose)?;
    remove_temporaries(&claims, 0, whose)?;
    for table in Table::ALL {
        remove_temporaries(&run.join(table.folder()), PARTITION_DEPTH, whose)?;
    }
    let mut files = Vec::new();
    list_files(&claims, 0, &mut files)?;
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some(beat) = name.strip_suffix(BEAT) {
            if Holder::parse(beat).is_some_and(|holder| whose(&holder.process)) {
                remove(&path)?;
            }
            continue;
        }
        let Some(claim) = read(&path)? else { continue };
        if Holder::of_claim(&claim).is_some_and(|holder| whose(&holder.process)) {
            remove_claim(&path, &claim)?;
        }
    }
    Ok(())
}

/// Removes what processes left half written in `folder` and `depth` levels below it: of those that `whose`
/// names, as their files do. What names nobody stays.
///
/// # Errors
/// When the folder cannot be listed or a file not removed.
pub fn remove_temporaries(
    folder: &Path,
    depth: usize,
    whose: &dyn Fn(&Process) -> bool,
) -> Result<(), StoreError> {
    let mut files = Vec::new();
    list_files(folder, depth, &mut files)?;
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if files::owner_of(&name).is_some_and(|owner| whose(&owner)) {
            remove(&path)?;
        }
    }
    Ok(())
}
