//! Sweeps over the price of hidden activations, as `cargo xtask train` leaves them: one `curve.parquet`
//! in a folder each.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tables::Frame;

use crate::run::Unreadable;
use crate::table_file::{f64s, guarded, u32s};

/// Where training leaves its sweeps.
const DEFAULT: &str = "data/sweeps";
/// The table of a sweep.
const TABLE: &str = "curve.parquet";

/// One trained model of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trained {
    /// The price of hidden activations, λ.
    pub l1_coefficient: f64,
    /// Mean negative log-likelihood of held-out text.
    pub heldout_nats: f64,
    /// Share of entries of h that are exactly zero.
    pub natural_sparsity: f64,
    /// Neurons that were zero at every token measured, of all.
    pub dead_neurons: u32,
    /// Neurons of all layers.
    pub neurons: u32,
    /// Share of held-out last words that are right.
    pub accuracy: f64,
    /// Steps of training.
    pub steps: u32,
}

/// One sweep.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sweep {
    /// The name of its folder, which is that of its recipe.
    pub name: String,
    /// By ascending coefficient.
    pub models: Vec<Trained>,
}

/// All sweeps of a folder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sweeps {
    /// Where they were looked for.
    pub folder: String,
    /// By name.
    pub sweeps: Vec<Sweep>,
    /// The folder or the tables in it that cannot be read.
    pub unreadable: Vec<Unreadable>,
}

impl Sweeps {
    /// The sweeps in `folder`, else in `data/sweeps`; a folder that is not there has none, one that was
    /// named and cannot be read says so.
    pub fn read(folder: Option<&Path>) -> Sweeps {
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
