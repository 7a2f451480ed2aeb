//! One row of a table: what was done, what was measured besides the loss, and what tells it apart from
//! rows that look the same.

use plan::{Cell, Treatment};
use serde::Serialize;
use tables::RowShares;

use crate::group::{Distinction, Group};
use crate::key::Key;
use crate::table_file::{CellResult, Rows};

/// Shares of what is pruned, mean over the cell's windows or items: of the FFN hidden, or, of a state,
/// of what reading its channels adds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shares {
    /// Share of Σh² that the kept set holds; not known where what was dropped is not there.
    pub kept_energy: Option<f64>,
    /// Share of entries of h that are exactly zero; not known where units were cut.
    pub natural_sparsity: Option<f64>,
    /// Share of units dropped.
    pub reached_sparsity: f64,
    /// Bytes of the cache of attention after the last token, as a share of those of the dense model; none
    /// where no position is skipped.
    pub cache_left: Option<f64>,
}

/// How much of the model the part of a cell is, whatever its sparsity; all zero when dense.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Touches {
    /// Share of the stored parameters.
    pub parameters: f64,
    /// Share of the operations of a token.
    pub flops: f64,
    /// Share of the bytes that mixers carry from token to token.
    pub state_bytes: f64,
}

/// One cell in a table; `M` is what its protocol measures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row<M> {
    /// The cell's id.
    pub cell_id: String,
    /// What the cell is called.
    pub label: String,
    /// The cell.
    pub cell: Cell,
    /// The flat fields of its recipe.
    pub treatment: Treatment,
    /// Where it stands in its table.
    #[serde(skip)]
    pub key: Key,
    /// The version of the code that computed it.
    pub code_version: String,
    /// When it was begun, in milliseconds since 1970.
    pub started_at_ms: i64,
    /// Seconds that it took.
    pub seconds: f64,
    /// Tokens that went through the model.
    pub tokens: u64,
    /// None where it took no time.
    pub tokens_per_second: Option<f64>,
    /// The most memory that its process held, in bytes.
    pub peak_rss_bytes: u64,
    /// Shares of what is pruned.
    pub shares: Shares,
    /// How much of the model that is.
    pub touches: Touches,
    /// What its protocol measures.
    pub measured: M,
    /// What tells it apart from rows with the same key.
    #[serde(skip)]
    pub distinctions: Vec<Distinction>,
}

impl<M> Row<M> {
    /// The row of a cell of `group`, whose key it has there.
    pub fn from_cell((key, result): (Key, &CellResult), group: &Group<'_>, measured: M) -> Self {
        let provenance = &result.provenance;
        let positive = provenance.seconds > 0.0;
        Row {
            cell_id: result.id.clone(),
            label: result.cell.label(),
            cell: result.cell.clone(),
            // A row has a key because its recipe has flat fields.
            treatment: result.cell.recipe.treatment().unwrap_or_else(|| Treatment::dense(0)),
            key,
            code_version: provenance.code_version.clone(),
            started_at_ms: provenance.started_at_ms,
            seconds: provenance.seconds,
            tokens: provenance.tokens,
            tokens_per_second: positive.then(|| provenance.tokens as f64 / provenance.seconds),
            peak_rss_bytes: provenance.peak_rss_bytes,
            shares: shares(&result.rows),
            touches: Touches {
                parameters: result.touched.parameters,
                flops: result.touched.flops,
                state_bytes: result.touched.state_bytes,
            },
            measured,
            distinctions: group.distinctions(key, result),
        }
    }
}

fn shares(rows: &Rows) -> Shares {
    let of: Vec<RowShares> = match rows {
        Rows::Windows(rows) => rows.iter().map(|row| row.shares).collect(),
        Rows::Items(rows) => rows.iter().map(|row| row.shares).collect(),
        Rows::Choices(_, rows) => rows.iter().map(|row| row.shares).collect(),
    };
    // None where a row lacks it.
    let mean = |of_row: fn(&RowShares) -> Option<f64>| {
        let sum: Option<f64> = of.iter().map(of_row).sum();
        Some(sum? / of.len() as f64)
    };
    let cache_left = |row: &RowShares| {
        row.cache.filter(|cache| cache.dense > 0).map(|own| own.left as f64 / own.dense as f64)
    };
    Shares {
        kept_energy: mean(|row| row.kept_energy),
        natural_sparsity: mean(|row| row.natural_sparsity),
        reached_sparsity: mean(|row| Some(row.reached_sparsity)).unwrap_or_default(),
        cache_left: mean(cache_left),
    }
}
