//! The table `choices`: one row per item and choice, for the protocols `choice-*`.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use crate::columns::{Batch, Column, Kind};
use crate::record::{
    CellRecord, IDENTITY, PROVENANCE, RowShares, SHARES, fill_shared, fill_shares,
};
use crate::token_columns::{self, TOKENS, TokenColumns};

/// One choice of an item. Whether the item is right follows: `acc` where the first largest
/// `logprob_nats` is that of the gold, `acc_norm` where that of `logprob_nats / n_characters` is.
#[derive(Debug, Clone, PartialEq)]
pub struct ChoiceRow {
    /// Position of the item in the file, from 0.
    pub item_index: u32,
    /// Position of the choice in the item, from 0.
    pub choice_index: u32,
    /// Whether it is the right one.
    pub is_gold: bool,
    /// Log-probability of the choice after its context, in nats.
    pub logprob_nats: f64,
    /// Tokens of the choice.
    pub n_target_tokens: u32,
    /// Tokens in front of the last one of the choice: what it alone would make the model read.
    pub n_tokens: u32,
    /// Characters of the choice, without the delimiter.
    pub n_characters: u32,
    /// The same in bytes of UTF-8.
    pub n_bytes: u32,
    /// Whether every token of it is the model's first choice.
    pub is_greedy: bool,
    /// The first 16 hex digits of the SHA-256 over context and continuation: what was asked.
    pub request_sha256: String,
    /// Shares of what is pruned, over the tokens that the choice rests on.
    pub shares: RowShares,
    /// What single tokens cost.
    pub tokens: TokenColumns,
}

/// What the definition of a task says of all its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskColumns {
    /// Version of the definition.
    pub version: String,
    /// The group that the task is a part of.
    pub group: Option<String>,
    /// Whether `acc_norm` is a metric of the task.
    pub is_normalised: bool,
}

const OWN: &[Column] = &[
    Column::new("task_version", Kind::Text, "version of the task's definition"),
    Column::optional("task_group", Kind::Text, "the group that the task is a part of; or null"),
    Column::new("is_normalised", Kind::Bool, "whether acc_norm is a metric of the task"),
    Column::new("item_index", Kind::U32, "position of the item in the file, from 0"),
    Column::new("choice_index", Kind::U32, "position of the choice in the item, from 0"),
    Column::new("is_gold", Kind::Bool, "whether it is the right choice"),
    Column::new("logprob_nats", Kind::F64, "log-probability of the choice, nats"),
    Column::new("n_target_tokens", Kind::U32, "tokens of the choice"),
    Column::new("n_tokens", Kind::U32, "tokens in front of the last one of the choice"),
    Column::new("n_characters", Kind::U32, "characters of the choice, without the delimiter"),
    Column::new("n_bytes", Kind::U32, "the same in bytes of UTF-8"),
    Column::new("is_greedy", Kind::Bool, "whether every token of it is the model's first choice"),
    Column::new(
        "request_sha256",
        Kind::Text,
        "first 16 hex digits of the SHA-256 over context, 00, continuation, 01",
    ),
];

/// The columns of the table, in order.
pub fn choice_columns() -> Vec<Column> {
    [IDENTITY, OWN, SHARES, TOKENS, PROVENANCE].concat()
}

/// What must be finite; what a row lacks is.
pub(crate) fn floats(row: &ChoiceRow) -> [(&'static str, f64); 6] {
    let [worst, layers] = token_columns::floats(&row.tokens);
    [
        ("logprob_nats", row.logprob_nats),
        ("reached_sparsity", row.shares.reached_sparsity),
        ("natural_sparsity", row.shares.natural_sparsity.unwrap_or(0.0)),
        ("kept_energy", row.shares.kept_energy.unwrap_or(0.0)),
        worst,
        layers,
    ]
}

pub(crate) fn encode(
    record: &CellRecord,
    task: &TaskColumns,
    rows: &[ChoiceRow],
) -> Result<RecordBatch, ArrowError> {
    let mut batch = Batch::new(rows.len());
    fill_shared(&mut batch, record);
    batch.same_text("task_version", &task.version);
    batch.same_optional_text("task_group", task.group.as_deref());
    batch.bool("is_normalised", rows.iter().map(|_| task.is_normalised));
    batch.u32("item_index", rows.iter().map(|row| row.item_index));
    batch.u32("choice_index", rows.iter().map(|row| row.choice_index));
    batch.bool("is_gold", rows.iter().map(|row| row.is_gold));
    batch.f64("logprob_nats", rows.iter().map(|row| row.logprob_nats));
    batch.u32("n_target_tokens", rows.iter().map(|row| row.n_target_tokens));
    batch.u32("n_tokens", rows.iter().map(|row| row.n_tokens));
    batch.u32("n_characters", rows.iter().map(|row| row.n_characters));
    batch.u32("n_bytes", rows.iter().map(|row| row.n_bytes));
    batch.bool("is_greedy", rows.iter().map(|row| row.is_greedy));
    batch.text("request_sha256", rows.iter().map(|row| row.request_sha256.as_str()));
    fill_shares(&mut batch, rows.iter().map(|row| &row.shares));
    token_columns::fill(&mut batch, rows.iter().map(|row| row.tokens));
    batch.finish(&choice_columns())
}
