//! The tables of a training run: one row a step, and one row a layer and measurement.
//!
//! They are written in parts, `<run>/steps/from-000100.parquet`, so that what has been trained so far can
//! be read while the rest is under way; any reader of Parquet opens the folder as one table.

use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use crate::StoreError;
use crate::columns::{Batch, Column, Kind};
use crate::write::{About, WriteError, write_atomically};

/// One step of a training run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepRow {
    /// Step, from 0.
    pub step: u32,
    /// Targets seen, this step's among them.
    pub tokens: u64,
    /// Mean negative log-likelihood of the step's targets before the update, in nats.
    pub loss_nats: f64,
    /// The penalty on hidden activations before its coefficient; 0 without one.
    pub l1: f64,
    /// Its coefficient at this step.
    pub l1_coefficient: f64,
    /// Learning rate.
    pub learning_rate: f64,
    /// Length of the gradient over all parameters, before it was limited.
    pub gradient_norm: f64,
    /// Time the step took, in seconds.
    pub seconds: f64,
}

/// One layer at one measurement of a training run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerRow {
    /// Steps taken before the measurement.
    pub step: u32,
    /// Index of the feed-forward site.
    pub site: u32,
    /// Neurons of the site.
    pub neurons: u32,
    /// Share of entries of h that are exactly zero.
    pub natural_sparsity: f64,
    /// Mean of |h|.
    pub mean_abs_h: f64,
    /// Neurons that were zero at every token of the measurement.
    pub dead_neurons: u32,
    /// Tokens of the measurement.
    pub tokens: u64,
    /// Mean negative log-likelihood of held-out documents, in nats; the same for all layers.
    pub heldout_nats: f64,
    /// Share of last words that are right, of held-out passages; the same for all layers.
    pub accuracy: f64,
}

/// One run of a sweep over the price of hidden activations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SweepRow {
    /// Coefficient of the penalty.
    pub l1_coefficient: f64,
    /// Mean negative log-likelihood of held-out documents at the end, in nats.
    pub heldout_nats: f64,
    /// Share of entries of h that are exactly zero, mean over sites.
    pub natural_sparsity: f64,
    /// Neurons that were zero at every token measured.
    pub dead_neurons: u32,
    /// Neurons of all sites.
    pub neurons: u32,
    /// Share of held-out last words that are right.
    pub accuracy: f64,
    /// Steps of the run.
    pub steps: u32,
}

const SWEEP: &[Column] = &[
    Column::new("l1_coefficient", Kind::F64, "coefficient of the penalty"),
    Column::new("heldout_nats", Kind::F64, "mean negative log-likelihood of held-out text, nats"),
    Column::new("natural_sparsity", Kind::F64, "share of entries of h that are exactly zero"),
    Column::new("dead_neurons", Kind::U32, "neurons that were zero at every token measured"),
    Column::new("neurons", Kind::U32, "neurons of all sites"),
    Column::new("accuracy", Kind::F64, "share of held-out last words that are right"),
    Column::new("steps", Kind::U32, "steps of the run"),
];

const STEPS: &[Column] = &[
    Column::new("step", Kind::U32, "step, from 0"),
    Column::new("tokens", Kind::U64, "targets seen, this step's among them"),
    Column::new("loss_nats", Kind::F64, "mean negative log-likelihood of the step's targets, nats"),
    Column::new("l1", Kind::F64, "penalty on hidden activations before its coefficient"),
    Column::new("l1_coefficient", Kind::F64, "coefficient of the penalty"),
    Column::new("learning_rate", Kind::F64, "learning rate"),
    Column::new("gradient_norm", Kind::F64, "length of the gradient before it was limited"),
    Column::new("seconds", Kind::F64, "time the step took, seconds"),
];

const LAYERS: &[Column] = &[
    Column::new("step", Kind::U32, "steps taken before the measurement"),
    Column::new("site", Kind::U32, "index of the feed-forward site"),
    Column::new("neurons", Kind::U32, "neurons of the site"),
    Column::new("natural_sparsity", Kind::F64, "share of entries of h that are exactly zero"),
    Column::new("mean_abs_h", Kind::F64, "mean of |h|"),
    Column::new("dead_neurons", Kind::U32, "neurons that were zero at every token measured"),
    Column::new("tokens", Kind::U64, "tokens measured"),
    Column::new("heldout_nats", Kind::F64, "mean negative log-likelihood of held-out text, nats"),
    Column::new("accuracy", Kind::F64, "share of held-out last words that are right"),
];

/// The columns of the table of steps, in order.
pub fn step_columns() -> Vec<Column> {
    STEPS.to_vec()
}

/// The columns of the table of layers, in order.
pub fn layer_columns() -> Vec<Column> {
    LAYERS.to_vec()
}

/// Writes some steps; the file appears complete or not at all. `recipe` is stored in it.
///
/// # Errors
/// A number that is not finite, or a disk that refuses.
pub fn write_steps(path: &Path, rows: &[StepRow], recipe: &str) -> Result<(), StoreError> {
    let mut batch = Batch::new(rows.len());
    batch.u32("step", rows.iter().map(|row| row.step));
    batch.u64("tokens", rows.iter().map(|row| row.tokens));
    batch.f64("loss_nats", rows.iter().map(|row| row.loss_nats));
    batch.f64("l1", rows.iter().map(|row| row.l1));
    batch.f64("l1_coefficient", rows.iter().map(|row| row.l1_coefficient));
    batch.f64("learning_rate", rows.iter().map(|row| row.learning_rate));
    batch.f64("gradient_norm", rows.iter().map(|row| row.gradient_norm));
    batch.f64("seconds", rows.iter().map(|row| row.seconds));
    write(path, batch.finish(STEPS), recipe)
}

/// Writes the layers of some measurements; the file appears complete or not at all.
///
/// # Errors
/// As [`write_steps`].
pub fn write_layers(path: &Path, rows: &[LayerRow], recipe: &str) -> Result<(), StoreError> {
    let mut batch = Batch::new(rows.len());
    batch.u32("step", rows.iter().map(|row| row.step));
    batch.u32("site", rows.iter().map(|row| row.site));
    batch.u32("neurons", rows.iter().map(|row| row.neurons));
    batch.f64("natural_sparsity", rows.iter().map(|row| row.natural_sparsity));
    batch.f64("mean_abs_h", rows.iter().map(|row| row.mean_abs_h));
    batch.u32("dead_neurons", rows.iter().map(|row| row.dead_neurons));
    batch.u64("tokens", rows.iter().map(|row| row.tokens));
    batch.f64("heldout_nats", rows.iter().map(|row| row.heldout_nats));
    batch.f64("accuracy", rows.iter().map(|row| row.accuracy));
    write(path, batch.finish(LAYERS), recipe)
}

/// Writes a sweep; the file appears complete or not at all.
///
/// # Errors
/// As [`write_steps`].
pub fn write_sweep(path: &Path, rows: &[SweepRow], recipe: &str) -> Result<(), StoreError> {
    let mut batch = Batch::new(rows.len());
    batch.f64("l1_coefficient", rows.iter().map(|row| row.l1_coefficient));
    batch.f64("heldout_nats", rows.iter().map(|row| row.heldout_nats));
    batch.f64("natural_sparsity", rows.iter().map(|row| row.natural_sparsity));
    batch.u32("dead_neurons", rows.iter().map(|row| row.dead_neurons));
    batch.u32("neurons", rows.iter().map(|row| row.neurons));
    batch.f64("accuracy", rows.iter().map(|row| row.accuracy));
    batch.u32("steps", rows.iter().map(|row| row.steps));
    write(path, batch.finish(SWEEP), recipe)
}

fn write(
    path: &Path,
    batch: Result<RecordBatch, ArrowError>,
    recipe: &str,
) -> Result<(), StoreError> {
    let unreadable = |reason: String| StoreError::Unreadable { path: path.to_owned(), reason };
    let batch = batch.map_err(|error| unreadable(error.to_string()))?;
    write_atomically(path, &batch, About::recipe(recipe)).map_err(|error| match error {
        WriteError::Encode(reason) => unreadable(reason),
        WriteError::Store(error) => error,
    })
}
