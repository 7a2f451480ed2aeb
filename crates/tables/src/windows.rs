//! The table `windows`: one row per window of text, for the protocols `ppl-T`.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use crate::columns::{Batch, Column, Kind};
use crate::record::{
    CellRecord, IDENTITY, PROVENANCE, RowShares, SHARES, fill_shared, fill_shares,
};
use crate::token_columns::{self, TOKENS, TokenColumns};

/// One window of text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowRow {
    /// Position of the window in the text, from 0.
    pub window_index: u32,
    /// Negative log-likelihood summed over the window's targets, in nats.
    pub nll_nats: f64,
    /// Targets in the window: one less than its ids.
    pub n_targets: u32,
    /// Jensen–Shannon divergence to the predictions of the dense model, nats, mean over the targets;
    /// where it was asked for.
    pub js_nats: Option<f64>,
    /// Shares of what is pruned.
    pub shares: RowShares,
    /// What single tokens cost.
    pub tokens: TokenColumns,
}

const OWN: &[Column] = &[
    Column::new("window_index", Kind::U32, "position of the window in the text, from 0"),
    Column::new("nll_nats", Kind::F64, "negative log-likelihood summed over the targets, nats"),
    Column::new("n_targets", Kind::U32, "targets in the window: one less than its ids"),
    Column::optional(
        "js_nats",
        Kind::F64,
        "Jensen-Shannon divergence to the dense model's predictions, mean over targets, nats",
    ),
];

/// The columns of the table, in order.
pub fn window_columns() -> Vec<Column> {
    [IDENTITY, OWN, SHARES, TOKENS, PROVENANCE].concat()
}

/// What must be finite; what a row lacks is.
pub(crate) fn floats(row: &WindowRow) -> [(&'static str, f64); 7] {
    let [worst, layers] = token_columns::floats(&row.tokens);
    [
        ("nll_nats", row.nll_nats),
        ("reached_sparsity", row.shares.reached_sparsity),
        ("natural_sparsity", row.shares.natural_sparsity.unwrap_or(0.0)),
        ("kept_energy", row.shares.kept_energy.unwrap_or(0.0)),
        ("js_nats", row.js_nats.unwrap_or(0.0)),
        worst,
        layers,
    ]
}

pub(crate) fn encode(record: &CellRecord, rows: &[WindowRow]) -> Result<RecordBatch, ArrowError> {
    let mut batch = Batch::new(rows.len());
    fill_shared(&mut batch, record);
    batch.u32("window_index", rows.iter().map(|row| row.window_index));
    batch.f64("nll_nats", rows.iter().map(|row| row.nll_nats));
    batch.u32("n_targets", rows.iter().map(|row| row.n_targets));
    batch.optional_f64("js_nats", rows.iter().map(|row| row.js_nats));
    fill_shares(&mut batch, rows.iter().map(|row| &row.shares));
    token_columns::fill(&mut batch, rows.iter().map(|row| row.tokens));
    batch.finish(&window_columns())
}
