//! The table of the atlas about attention, `atlas/attention.parquet`: one row an attention, of its table
//! `attention`.

use std::path::Path;

use crate::StoreError;
use crate::atlas::write;
use crate::columns::{Batch, Column, Kind};

/// What the heads of one attention look at, and how long a position stays among those that are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionSiteRow {
    /// Name of the model.
    pub model: String,
    /// Name of the text.
    pub dataset: String,
    /// Sparsity of the kept positions.
    pub sparsity: f64,
    /// Index of the attention, in the order of the forward pass.
    pub site: u32,
    /// Layer it stands in.
    pub layer: u32,
    /// Query heads.
    pub heads: u64,
    /// Share of attention that goes to the first four tokens, mean over heads.
    pub sinks: f64,
    /// The same of even attention.
    pub sinks_by_chance: f64,
    /// Share of attention that goes to the last eight tokens, the query's own among them.
    pub recent: f64,
    /// The same of even attention.
    pub recent_by_chance: f64,
    /// Entropy as a share of that of even attention, mean over heads.
    pub entropy: f64,
    /// Spearman's ρ of `‖k‖₂` with the attention drawn, mean over key heads.
    pub rho_key_size: Option<f64>,
    /// The least of a key head.
    pub rho_key_size_least: Option<f64>,
    /// The largest of a key head.
    pub rho_key_size_largest: Option<f64>,
    /// The same of `‖v‖₂`, mean over key heads.
    pub rho_value_size: Option<f64>,
    /// Tokens after which half of the kept positions are kept no more; none where none is that short.
    pub half_life_tokens: Option<f64>,
}

pub(crate) const ATTENTION: &[Column] = &[
    Column::new("model", Kind::Text, "name of the model"),
    Column::new("dataset", Kind::Text, "name of the text"),
    Column::new("sparsity", Kind::F64, "sparsity of the kept positions"),
    Column::new("site", Kind::U32, "index of the attention, in the order of the forward pass"),
    Column::new("layer", Kind::U32, "layer that it stands in"),
    Column::new("heads", Kind::U64, "query heads, of which the shares are means"),
    Column::new("sinks", Kind::F64, "share of attention to the first four tokens, 0 to 1"),
    Column::new("sinks_by_chance", Kind::F64, "the same of even attention"),
    Column::new("recent", Kind::F64, "share of attention to the last eight tokens, 0 to 1"),
    Column::new("recent_by_chance", Kind::F64, "the same of even attention"),
    Column::new("entropy", Kind::F64, "mean entropy as a share of that of even attention"),
    Column::optional(
        "rho_key_size",
        Kind::F64,
        "Spearman of |k|_2 with the attention drawn, mean over key heads; null where sizes are equal",
    ),
    Column::optional("rho_key_size_least", Kind::F64, "the least of a key head"),
    Column::optional("rho_key_size_largest", Kind::F64, "the largest of a key head"),
    Column::optional("rho_value_size", Kind::F64, "the same of |v|_2, mean over key heads"),
    Column::optional(
        "half_life_tokens",
        Kind::F64,
        "tokens after which half of the kept positions are kept; null where it is longer than was measured",
    ),
];

/// Writes what attention looks at; the file appears complete or not at all.
///
/// # Errors
/// As [`write_similarities`](crate::write_similarities).
pub fn write_attention_sites(
    path: &Path,
    rows: &[AttentionSiteRow],
    settings: &str,
) -> Result<(), StoreError> {
    let mut batch = Batch::new(rows.len());
    batch.text("model", rows.iter().map(|row| row.model.as_str()));
    batch.text("dataset", rows.iter().map(|row| row.dataset.as_str()));
    batch.f64("sparsity", rows.iter().map(|row| row.sparsity));
    batch.u32("site", rows.iter().map(|row| row.site));
    batch.u32("layer", rows.iter().map(|row| row.layer));
    batch.u64("heads", rows.iter().map(|row| row.heads));
    batch.f64("sinks", rows.iter().map(|row| row.sinks));
    batch.f64("sinks_by_chance", rows.iter().map(|row| row.sinks_by_chance));
    batch.f64("recent", rows.iter().map(|row| row.recent));
    batch.f64("recent_by_chance", rows.iter().map(|row| row.recent_by_chance));
    batch.f64("entropy", rows.iter().map(|row| row.entropy));
    batch.optional_f64("rho_key_size", rows.iter().map(|row| row.rho_key_size));
    batch.optional_f64("rho_key_size_least", rows.iter().map(|row| row.rho_key_size_least));
    batch.optional_f64("rho_key_size_largest", rows.iter().map(|row| row.rho_key_size_largest));
    batch.optional_f64("rho_value_size", rows.iter().map(|row| row.rho_value_size));
    batch.optional_f64("half_life_tokens", rows.iter().map(|row| row.half_life_tokens));
    write(path, batch.finish(ATTENTION), settings)
}
