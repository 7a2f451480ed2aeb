//! The table `failures`: one row per failed cell, never a zero or NaN among the results.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use runs::FailureRecord;

use crate::columns::{Batch, Column, Kind};
use crate::record::policy;

const COLUMNS: &[Column] = &[
    Column::new("cell_id", Kind::Text, "first 16 hex digits of the cell's canonical SHA-256"),
    Column::new("label", Kind::Text, "the cell in short, for people"),
    Column::new("model", Kind::Text, "name of the model"),
    Column::new("dataset", Kind::Text, "name of the text"),
    Column::new("protocol", Kind::Text, "evaluation protocol: ppl-T, lambada-openai, ..."),
    Column::new("recipe", Kind::Text, "the steps as one text: dense, cut=weights,method=..."),
    Column::new("policy", Kind::Text, "dense, static, dynamic, window, observe or recipe"),
    Column::new("sparsity", Kind::F64, "requested share of neurons dropped, 0 to 1"),
    Column::optional("window", Kind::U64, "tokens that share one kept set; null if none"),
    Column::new("error", Kind::Text, "why the cell failed"),
    Column::new("revision", Kind::Text, "git describe --always --dirty of the source"),
    Column::new("code_version", Kind::Text, "digest of the source that computes numbers"),
    Column::new("host", Kind::Text, "name of the machine"),
    Column::new("started_at", Kind::TimestampMs, "when the cell was begun, UTC"),
    Column::new("seconds", Kind::F64, "wall-clock seconds until the failure"),
];

/// The columns of the table, in order.
pub fn failure_columns() -> Vec<Column> {
    COLUMNS.to_vec()
}

pub(crate) fn encode(record: &FailureRecord) -> Result<RecordBatch, ArrowError> {
    let recipe = &record.cell.recipe;
    let mut batch = Batch::new(1);
    batch.same_text("cell_id", &record.id);
    batch.same_text("label", &record.cell.label());
    batch.same_text("model", &record.cell.model);
    batch.same_text("dataset", &record.cell.dataset);
    batch.same_text("protocol", &record.cell.protocol.to_string());
    batch.same_text("recipe", &recipe.text());
    batch.same_text("policy", policy(recipe));
    batch.same_f64("sparsity", recipe.sparsity().get());
    batch.same_u64("window", recipe.window());
    batch.same_text("error", &record.error);
    batch.same_text("revision", &record.revision);
    batch.same_text("code_version", &record.code_version);
    batch.same_text("host", &record.host);
    batch.same_timestamp("started_at", record.started_at_ms);
    batch.same_f64("seconds", record.seconds);
    batch.finish(COLUMNS)
}
