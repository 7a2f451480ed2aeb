//! Where things lie: the workspace, the data, the cache, the lock files.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use plan::{DataLock, ModelsLock, datasets::KnownDataset};

/// The folders of the project.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The workspace that this program was started in, else the one it was built in.
    pub(crate) fn find() -> Workspace {
        let own = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let own = own.filter(|folder| folder.ends_with("xtask"));
        let own = own.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
        Workspace { root: own.parent().unwrap_or(&own).to_owned() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the evaluation texts: `SLIM_DATA`, else `data/texts`.
    pub(crate) fn data(&self) -> PathBuf {
        env::var_os("SLIM_DATA").map_or_else(|| self.root.join("data/texts"), PathBuf::from)
    }

    /// The folder of the items of tasks: `SLIM_TASKS`, else `data/tasks`.
    pub(crate) fn tasks(&self) -> PathBuf {
        env::var_os("SLIM_TASKS").map_or_else(|| self.root.join("data/tasks"), PathBuf::from)
    }

    /// The folder in which a known text or the items of a known task lie.
    pub(crate) fn data_of(&self, known: &KnownDataset) -> PathBuf {
        if known.task.is_some() { self.tasks() } else { self.data() }
    }

    /// Whether the environment names that folder, and which variable does.
    pub(crate) fn own_data_of(&self, known: &KnownDataset) -> Option<&'static str> {
        let variable = if known.task.is_some() { "SLIM_TASKS" } else { "SLIM_DATA" };
        env::var_os(variable).map(|_| variable)
    }

    /// The folder of the fetched weights: `SLIM_CACHE`, else `data/cache`.
    pub(crate) fn cache(&self) -> PathBuf {
        env::var_os("SLIM_CACHE").map_or_else(|| self.root.join("data/cache"), PathBuf::from)
    }

    /// The folder of the lock files: `SLIM_LOCKS`, else `data`.
    fn locks(&self) -> PathBuf {
        env::var_os("SLIM_LOCKS").map_or_else(|| self.root.join("data"), PathBuf::from)
    }

    pub(crate) fn models_lock_path(&self) -> PathBuf {
        self.locks().join("models.lock")
    }

    pub(crate) fn data_lock_path(&self) -> PathBuf {
        self.locks().join("data.lock")
    }

    /// Reads `data/models.lock`; an absent file lists no model.
    pub(crate) fn models_lock(&self) -> Result<ModelsLock> {
        let path = self.models_lock_path();
        if !path.exists() {
            return Ok(ModelsLock::default());
        }
        let text = read(&path)?;
        ModelsLock::parse(&text).with_context(|| format!("cannot use {}", self.show(&path)))
    }

    /// Reads `data/data.lock`.
    pub(crate) fn data_lock(&self) -> Result<DataLock> {
        let path = self.data_lock_path();
        let text = read(&path)?;
        DataLock::parse(&text).with_context(|| format!("cannot use {}", self.show(&path)))
    }

    /// A path for people: relative to the workspace where it lies inside.
    pub(crate) fn show(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
