//! The table `attention`: what every query head pays by distance and by place, and how long positions stay
//! among those that are looked at most.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use crate::columns::{Batch, Column, Kind};
use crate::record::{CellRecord, IDENTITY, PROVENANCE, fill_shared};

/// One bucket of one axis of one query head, beside what holds of the head as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionRow {
    /// Index of the attention, in the order of the forward pass.
    pub site: u32,
    /// Layer it stands in.
    pub layer: u32,
    /// Query head.
    pub head: u32,
    /// The key head that it reads.
    pub key_head: u32,
    /// Queries measured.
    pub queries: u64,
    /// `lag`, `position` or `kept`.
    pub axis: String,
    /// The first token of the bucket.
    pub from_tokens: u32,
    /// The last one.
    pub to_tokens: u32,
    /// Share: of attention (`lag`, `position`), or of kept positions that are kept so much later (`kept`).
    pub share: f64,
    /// The share of a head that looks at all alike, or of two sets by chance.
    pub by_chance: f64,
    /// Entropy of the attention of a query, mean, nats.
    pub entropy_nats: f64,
    /// The same of a head that looks at all alike.
    pub even_entropy_nats: f64,
    /// Spearman's ρ of `‖k_s‖₂` with the attention that `s` draws, mean over texts.
    pub rho_key_size: Option<f64>,
    /// The same of `‖v_s‖₂`.
    pub rho_value_size: Option<f64>,
}

const OWN: &[Column] = &[
    Column::new("site", Kind::U32, "index of the attention, in the order of the forward pass"),
    Column::new("layer", Kind::U32, "layer that it stands in"),
    Column::new("head", Kind::U32, "query head"),
    Column::new("key_head", Kind::U32, "key head that it reads"),
    Column::new("queries", Kind::U64, "queries measured"),
    Column::new(
        "axis",
        Kind::Text,
        "lag: tokens back; position: tokens from the start; kept: tokens between two kept sets",
    ),
    Column::new("from_tokens", Kind::U32, "the first token of the bucket"),
    Column::new("to_tokens", Kind::U32, "the last token of the bucket"),
    Column::new(
        "share",
        Kind::F64,
        "share of attention in the bucket; of kept: share of kept positions that are kept later too",
    ),
    Column::new("by_chance", Kind::F64, "the same of even attention, or of sets drawn by chance"),
    Column::new("entropy_nats", Kind::F64, "entropy of a query's attention, mean, nats"),
    Column::new("even_entropy_nats", Kind::F64, "the same of even attention, nats"),
    Column::optional(
        "rho_key_size",
        Kind::F64,
        "Spearman of |k|_2 with the attention drawn, mean over texts; null where sizes are equal",
    ),
    Column::optional("rho_value_size", Kind::F64, "the same of |v|_2"),
];

/// The columns of the table, in order.
pub fn attention_columns() -> Vec<Column> {
    [IDENTITY, OWN, PROVENANCE].concat()
}

pub(crate) fn floats(row: &AttentionRow) -> [(&'static str, f64); 6] {
    [
        ("share", row.share),
        ("by_chance", row.by_chance),
        ("entropy_nats", row.entropy_nats),
        ("even_entropy_nats", row.even_entropy_nats),
        ("rho_key_size", row.rho_key_size.unwrap_or(0.0)),
        ("rho_value_size", row.rho_value_size.unwrap_or(0.0)),
    ]
}

pub(crate) fn encode(
    record: &CellRecord,
    rows: &[AttentionRow],
) -> Result<RecordBatch, ArrowError> {
    let mut batch = Batch::new(rows.len());
    fill_shared(&mut batch, record);
    batch.u32("site", rows.iter().map(|row| row.site));
    batch.u32("layer", rows.iter().map(|row| row.layer));
    batch.u32("head", rows.iter().map(|row| row.head));
    batch.u32("key_head", rows.iter().map(|row| row.key_head));
    batch.u64("queries", rows.iter().map(|row| row.queries));
    batch.text("axis", rows.iter().map(|row| row.axis.as_str()));
    batch.u32("from_tokens", rows.iter().map(|row| row.from_tokens));
    batch.u32("to_tokens", rows.iter().map(|row| row.to_tokens));
    batch.f64("share", rows.iter().map(|row| row.share));
    batch.f64("by_chance", rows.iter().map(|row| row.by_chance));
    batch.f64("entropy_nats", rows.iter().map(|row| row.entropy_nats));
    batch.f64("even_entropy_nats", rows.iter().map(|row| row.even_entropy_nats));
    batch.optional_f64("rho_key_size", rows.iter().map(|row| row.rho_key_size));
    batch.optional_f64("rho_value_size", rows.iter().map(|row| row.rho_value_size));
    batch.finish(&attention_columns())
}
