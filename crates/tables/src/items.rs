//! The table `items`: one row per item, for the protocols `lambada-*`.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use crate::columns::{Batch, Column, Kind};
use crate::record::{
    CellRecord, IDENTITY, PROVENANCE, RowShares, SHARES, fill_shared, fill_shares,
};
use crate::token_columns::{self, TOKENS, TokenColumns};

/// One item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ItemRow {
    /// Position of the item in the file, from 0.
    pub item_index: u32,
    /// Whether the model's first choice is the target at every target position.
    pub correct: bool,
    /// Log-probability of the target, in nats: of the whole word for `lambada-openai`, of the last
    /// token for `lambada-last-token`.
    pub word_logprob_nats: f64,
    /// Tokens of the target.
    pub n_target_tokens: u32,
    /// Tokens of the item that the model read.
    pub n_tokens: u32,
    /// Sentences between the place where the last word was settled and the question, where the text says
    /// it.
    pub distance_sentences: Option<u32>,
    /// Shares of what is pruned.
    pub shares: RowShares,
    /// What single tokens cost.
    pub tokens: TokenColumns,
}

const OWN: &[Column] = &[
    Column::new("item_index", Kind::U32, "position of the item in the file, from 0"),
    Column::new("correct", Kind::Bool, "whether every target token is the model's first choice"),
    Column::new("word_logprob_nats", Kind::F64, "log-probability of the target, nats"),
    Column::new("n_target_tokens", Kind::U32, "tokens of the target"),
    Column::new("n_tokens", Kind::U32, "tokens of the item that the model read"),
    Column::optional(
        "distance_sentences",
        Kind::U32,
        "sentences between where the last word was settled and the question; null where unknown",
    ),
];

/// The columns of the table, in order.
pub fn item_columns() -> Vec<Column> {
    [IDENTITY, OWN, SHARES, TOKENS, PROVENANCE].concat()
}

/// What must be finite; what a row lacks is.
pub(crate) fn floats(row: &ItemRow) -> [(&'static str, f64); 6] {
    let [worst, layers] = token_columns::floats(&row.tokens);
    [
        ("word_logprob_nats", row.word_logprob_nats),
        ("reached_sparsity", row.shares.reached_sparsity),
        ("natural_sparsity", row.shares.natural_sparsity.unwrap_or(0.0)),
        ("kept_energy", row.shares.kept_energy.unwrap_or(0.0)),
        worst,
        layers,
    ]
}

pub(crate) fn encode(record: &CellRecord, rows: &[ItemRow]) -> Result<RecordBatch, ArrowError> {
    let mut batch = Batch::new(rows.len());
    fill_shared(&mut batch, record);
    batch.u32("item_index", rows.iter().map(|row| row.item_index));
    batch.bool("correct", rows.iter().map(|row| row.correct));
    batch.f64("word_logprob_nats", rows.iter().map(|row| row.word_logprob_nats));
    batch.u32("n_target_tokens", rows.iter().map(|row| row.n_target_tokens));
    batch.u32("n_tokens", rows.iter().map(|row| row.n_tokens));
    batch.optional_u32("distance_sentences", rows.iter().map(|row| row.distance_sentences));
    fill_shares(&mut batch, rows.iter().map(|row| &row.shares));
    token_columns::fill(&mut batch, rows.iter().map(|row| row.tokens));
    batch.finish(&item_columns())
}
