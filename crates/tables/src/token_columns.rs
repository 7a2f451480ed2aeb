//! What every row of results says of single tokens, so that a few that went wrong do not hide in a sum.

use std::path::Path;

use arrow_array::{Array as _, Float64Array, RecordBatch, UInt32Array};

use crate::StoreError;
use crate::columns::{Batch, Column, Kind};
use crate::read::column;

/// The tokens of one window, item or choice.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TokenColumns {
    /// Largest negative log-likelihood of a single target, nats.
    pub worst_nll_nats: f64,
    /// Targets that an even guess over the vocabulary would have cost less: those above ln V nats.
    pub n_worse_than_chance: u32,
    /// Mean layers after which a token is predicted; none where all go through all layers.
    pub layers_per_token: Option<f64>,
}

/// Their columns, in order.
pub(crate) const TOKENS: &[Column] = &[
    Column::new(
        "worst_nll_nats",
        Kind::F64,
        "largest negative log-likelihood of a single target, nats",
    ),
    Column::new(
        "n_worse_than_chance",
        Kind::U32,
        "targets whose negative log-likelihood is above ln(vocabulary), that of an even guess",
    ),
    Column::optional(
        "layers_per_token",
        Kind::F64,
        "mean layers after which a token read is predicted; null where no token leaves before the last",
    ),
];

/// What must be finite; what a row lacks is.
pub(crate) fn floats(row: &TokenColumns) -> [(&'static str, f64); 2] {
    [
        ("worst_nll_nats", row.worst_nll_nats),
        ("layers_per_token", row.layers_per_token.unwrap_or(0.0)),
    ]
}

pub(crate) fn fill(batch: &mut Batch, rows: impl Iterator<Item = TokenColumns> + Clone) {
    batch.f64("worst_nll_nats", rows.clone().map(|row| row.worst_nll_nats));
    batch.u32("n_worse_than_chance", rows.clone().map(|row| row.n_worse_than_chance));
    batch.optional_f64("layers_per_token", rows.map(|row| row.layers_per_token));
}

/// The tokens of a row of a file.
pub(crate) fn read<'a>(
    path: &Path,
    batch: &'a RecordBatch,
) -> Result<impl Fn(usize) -> TokenColumns + 'a, StoreError> {
    let worst: &Float64Array = column(path, batch, "worst_nll_nats")?;
    let by_chance: &UInt32Array = column(path, batch, "n_worse_than_chance")?;
    let layers: &Float64Array = column(path, batch, "layers_per_token")?;
    Ok(move |row| TokenColumns {
        worst_nll_nats: worst.value(row),
        n_worse_than_chance: by_chance.value(row),
        layers_per_token: layers.is_valid(row).then(|| layers.value(row)),
    })
}
