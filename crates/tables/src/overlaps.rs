//! The table `overlaps`: how much the kept sets of two tokens share, by the distance between them.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use crate::columns::{Batch, Column, Kind};
use crate::record::{CellRecord, IDENTITY, PROVENANCE, fill_shared};

/// One site and lag.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OverlapRow {
    /// Index of the site, in the order of the forward pass.
    pub site: u32,
    /// Layer it stands in.
    pub layer: u32,
    /// Tokens between the two.
    pub lag_tokens: u32,
    /// Pairs of tokens measured.
    pub pairs: u64,
    /// Mean share of the k kept neurons that both tokens keep.
    pub overlap: f64,
    /// Mean of shared over all neurons of the two sets (Jaccard).
    pub jaccard: f64,
    /// The overlap of two sets drawn by chance: k / F.
    pub by_chance: f64,
}

const OWN: &[Column] = &[
    Column::new("site", Kind::U32, "index of the site, in the order of the forward pass"),
    Column::new("layer", Kind::U32, "layer that the site stands in"),
    Column::new("lag_tokens", Kind::U32, "tokens between the two sets"),
    Column::new("pairs", Kind::U64, "pairs of tokens measured"),
    Column::new("overlap", Kind::F64, "mean share of kept neurons that both tokens keep, 0 to 1"),
    Column::new("jaccard", Kind::F64, "mean of shared over all neurons of the two sets, 0 to 1"),
    Column::new("by_chance", Kind::F64, "overlap of two sets drawn by chance, 0 to 1"),
];

/// The columns of the table, in order.
pub fn overlap_columns() -> Vec<Column> {
    [IDENTITY, OWN, PROVENANCE].concat()
}

pub(crate) fn floats(row: &OverlapRow) -> [(&'static str, f64); 3] {
    [("overlap", row.overlap), ("jaccard", row.jaccard), ("by_chance", row.by_chance)]
}

pub(crate) fn encode(record: &CellRecord, rows: &[OverlapRow]) -> Result<RecordBatch, ArrowError> {
    let mut batch = Batch::new(rows.len());
    fill_shared(&mut batch, record);
    batch.u32("site", rows.iter().map(|row| row.site));
    batch.u32("layer", rows.iter().map(|row| row.layer));
    batch.u32("lag_tokens", rows.iter().map(|row| row.lag_tokens));
    batch.u64("pairs", rows.iter().map(|row| row.pairs));
    batch.f64("overlap", rows.iter().map(|row| row.overlap));
    batch.f64("jaccard", rows.iter().map(|row| row.jaccard));
    batch.f64("by_chance", rows.iter().map(|row| row.by_chance));
    batch.finish(&overlap_columns())
}
