//! `worker speed-table`: the rows that `cargo xtask speed` measured, as a Parquet table.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use tables::{Repeats, SpeedRow, write_speed};

use crate::{Outcome, fail::Fail};

/// The file of `cargo xtask speed`.
#[derive(Deserialize)]
struct Written {
    rows: Vec<Row>,
}

/// One of its rows, by the names of the file.
#[derive(Deserialize)]
struct Row {
    model: String,
    row: String,
    program: String,
    recipe: String,
    weights: String,
    zeros: String,
    parameters: u64,
    stored_bytes: Option<u64>,
    prefill_tokens_per_second: Spread,
    decode_tokens_per_second: Spread,
    prefill_over_dense: Spread,
    decode_over_dense: Spread,
    weight_bytes_per_token: Option<f64>,
    cache_bytes: Option<u64>,
    peak_rss_bytes: u64,
    natural_zeros: Option<f64>,
    perplexity: Option<f64>,
    perplexity_over_dense: Option<f64>,
}

#[derive(Deserialize)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl From<Spread> for Repeats {
    fn from(Spread { median, least, most }: Spread) -> Self {
        Self { median, least, most }
    }
}

impl From<Row> for SpeedRow {
    fn from(row: Row) -> Self {
        Self {
            model: row.model,
            row: row.row,
            program: row.program,
            recipe: row.recipe,
            weights: row.weights,
            zeros: row.zeros,
            parameters: row.parameters,
            stored_bytes: row.stored_bytes,
            prefill_tokens_per_second: row.prefill_tokens_per_second.into(),
            decode_tokens_per_second: row.decode_tokens_per_second.into(),
            prefill_over_dense: row.prefill_over_dense.into(),
            decode_over_dense: row.decode_over_dense.into(),
            weight_bytes_per_token: row.weight_bytes_per_token,
            cache_bytes: row.cache_bytes,
            peak_rss_bytes: row.peak_rss_bytes,
            natural_zeros: row.natural_zeros,
            perplexity: row.perplexity,
            perplexity_over_dense: row.perplexity_over_dense,
        }
    }
}

/// Writes the table.
pub(crate) fn speed_table(rows: &Path, out: &Path) -> Outcome {
    let text = std::fs::read_to_string(rows)
        .with_context(|| format!("cannot read {}", rows.display()))
        .map_err(Fail::Usage)?;
    let written: Written = serde_json::from_str(&text)
        .with_context(|| format!("{} holds no rows of `cargo xtask speed`", rows.display()))
        .map_err(Fail::Usage)?;
    let rows: Vec<SpeedRow> = written.rows.into_iter().map(SpeedRow::from).collect();
    write_speed(out, &rows).map_err(|error| Fail::Results(error.into()))?;
    Ok(plan::exit::DONE)
}
