//! Sweeps over the price of hidden activations, as `cargo xtask train` leaves them: one `curve.parquet`
//! in a folder each.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tables::Frame;

use crate::read::{f64s, guarded, u32s};
use crate::run::Unreadable;

/// Where training leaves its sweeps.
const DEFAULT: &str = "data/sweeps";
/// The table of a sweep.
const TABLE: &str = "curve.parquet";

/// One trained model of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Trained {
    pub(crate) l1_coefficient: f64,
    /// Mean negative log-likelihood of held-out text.
    pub(crate) heldout_nats: f64,
    /// Share of entries of h that are exactly zero.
    pub(crate) natural_sparsity: f64,
    /// Neurons that were zero at every token measured, of all.
    pub(crate) dead_neurons: u32,
    pub(crate) neurons: u32,
    /// Share of held-out last words that are right.
    pub(crate) accuracy: f64,
    pub(crate) steps: u32,
}

/// One sweep.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Sweep {
    /// The name of its folder, which is that of its recipe.
    pub(crate) name: String,
    /// By ascending coefficient.
    pub(crate) models: Vec<Trained>,
}

/// All sweeps of a folder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Sweeps {
    pub(crate) folder: String,
    /// By name.
    pub(crate) sweeps: Vec<Sweep>,
    /// The folder or the tables in it that cannot be read.
    pub(crate) unreadable: Vec<Unreadable>,
}

impl Sweeps {
    /// The sweeps in `folder`, else in `data/sweeps`; a folder that is not there has none, one that was
    /// named and cannot be read says so.
    pub(crate) fn read(folder: Option<&Path>) -> Sweeps {
        let is_named = folder.is_some();
        let folder = folder.unwrap_or(Path::new(DEFAULT));
        let mut all = Sweeps {
            folder: folder.display().to_string(),
            sweeps: Vec::new(),
            unreadable: Vec::new(),
        };
        let tables = match tables(folder) {
            Ok(tables) => tables,
            Err(_) if !is_named && !folder.exists() => return all,
            Err(error) => {
                let reason = format!("{error:#}");
                all.unreadable.push(Unreadable { file: all.folder.clone(), reason });
                return all;
            }
        };
        for (name, path) in tables {
            match guarded(|| read(&path)) {
                Ok(models) => all.sweeps.push(Sweep { name, models }),
                Err(error) => {
                    let (file, reason) = (shown(&path), format!("{error:#}"));
                    all.unreadable.push(Unreadable { file, reason });
                }
            }
        }
        all
    }
}

/// A path for people: relative to where the reader stands, where it lies inside.
fn shown(path: &Path) -> String {
    let here = env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

/// The tables in the folders of `folder`, by name.
fn tables(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut tables = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let table = entry.path().join(TABLE);
        if table.is_file() {
            tables.push((entry.file_name().to_string_lossy().into_owned(), table));
        }
    }
    tables.sort();
    Ok(tables)
}

fn read(path: &Path) -> Result<Vec<Trained>> {
    let frame = Frame::read(path, None).context("it is no table")?;
    ensure!(frame.rows() > 0, "it has no rows");
    let mut models = rows(&frame)?;
    models.sort_by(|a, b| a.l1_coefficient.total_cmp(&b.l1_coefficient));
    Ok(models)
}

fn rows(frame: &Frame) -> Result<Vec<Trained>> {
    let [coefficient, heldout, sparsity, accuracy] =
        ["l1_coefficient", "heldout_nats", "natural_sparsity", "accuracy"]
            .map(|name| f64s(frame, name));
    let (coefficient, heldout) = (coefficient?, heldout?);
    let (sparsity, accuracy) = (sparsity?, accuracy?);
    let (dead, neurons) = (u32s(frame, "dead_neurons")?, u32s(frame, "neurons")?);
    let steps = u32s(frame, "steps")?;
    let rows = (0..frame.rows()).map(|row| Trained {
        l1_coefficient: coefficient[row],
        heldout_nats: heldout[row],
        natural_sparsity: sparsity[row],
        dead_neurons: dead[row],
        neurons: neurons[row],
        accuracy: accuracy[row],
        steps: steps[row],
    });
    Ok(rows.collect())
}
