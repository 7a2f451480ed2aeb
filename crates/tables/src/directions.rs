//! The table `directions`: principal directions of the residual stream, how much varies along each, and
//! how much the loss minds.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use crate::columns::{Batch, Column, Kind};
use crate::record::{CellRecord, IDENTITY, PROVENANCE, fill_shared};

/// One direction of the stream that enters one layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DirectionRow {
    /// Index of the layer.
    pub layer: u32,
    /// Rank by variance, from 0.
    pub direction: u32,
    /// Variance of the stream along it.
    pub variance: f64,
    /// `E[(g·u)²]`, with `g` the gradient of the loss at the stream and `u` the direction.
    pub sensitivity: f64,
}

const OWN: &[Column] = &[
    Column::new("layer", Kind::U32, "index of the layer that the stream enters"),
    Column::new("direction", Kind::U32, "principal direction, by falling variance, from 0"),
    Column::new("variance", Kind::F64, "variance of the stream along the direction"),
    Column::new(
        "sensitivity",
        Kind::F64,
        "mean of (g.u)^2, g the gradient of the loss at the stream, u the direction",
    ),
];

/// The columns of the table, in order.
pub fn direction_columns() -> Vec<Column> {
    [IDENTITY, OWN, PROVENANCE].concat()
}

pub(crate) fn floats(row: &DirectionRow) -> [(&'static str, f64); 2] {
    [("variance", row.variance), ("sensitivity", row.sensitivity)]
}

pub(crate) fn encode(
    record: &CellRecord,
    rows: &[DirectionRow],
) -> Result<RecordBatch, ArrowError> {
    let mut batch = Batch::new(rows.len());
    fill_shared(&mut batch, record);
    batch.u32("layer", rows.iter().map(|row| row.layer));
    batch.u32("direction", rows.iter().map(|row| row.direction));
    batch.f64("variance", rows.iter().map(|row| row.variance));
    batch.f64("sensitivity", rows.iter().map(|row| row.sensitivity));
    batch.finish(&direction_columns())
}
