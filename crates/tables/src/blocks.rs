//! The table `blocks`: how well a linear map of its input stands for each layer.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use crate::columns::{Batch, Column, Kind};
use crate::record::{CellRecord, IDENTITY, PROVENANCE, fill_shared};

/// One layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockRow {
    /// Index of the layer.
    pub layer: u32,
    /// Tokens that the map was fitted on.
    pub fitted_tokens: u64,
    /// Tokens that it was held against.
    pub tokens: u64,
    /// `1 − Σ‖y − ŷ‖² / Σ‖y − ȳ‖²` of the update `y` on the measured text; may be below 0.
    pub r2: f64,
}

const OWN: &[Column] = &[
    Column::new("layer", Kind::U32, "index of the layer"),
    Column::new(
        "fitted_tokens",
        Kind::U64,
        "tokens of calibration text that the map was fitted on",
    ),
    Column::new("held_out_tokens", Kind::U64, "tokens of the measured text"),
    Column::new(
        "r2",
        Kind::F64,
        "1 - sum |y - fit|^2 / sum |y - mean|^2 of the layer's update on the measured text",
    ),
];

/// The columns of the table, in order.
pub fn block_columns() -> Vec<Column> {
    [IDENTITY, OWN, PROVENANCE].concat()
}

pub(crate) fn floats(row: &BlockRow) -> [(&'static str, f64); 1] {
    [("r2", row.r2)]
}

pub(crate) fn encode(record: &CellRecord, rows: &[BlockRow]) -> Result<RecordBatch, ArrowError> {
    let mut batch = Batch::new(rows.len());
    fill_shared(&mut batch, record);
    batch.u32("layer", rows.iter().map(|row| row.layer));
    batch.u64("fitted_tokens", rows.iter().map(|row| row.fitted_tokens));
    batch.u64("held_out_tokens", rows.iter().map(|row| row.tokens));
    batch.f64("r2", rows.iter().map(|row| row.r2));
    batch.finish(&block_columns())
}
