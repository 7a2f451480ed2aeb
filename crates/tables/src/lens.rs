//! The table `lens`: what each layer would predict if it were the last.

use arrow_array::{Array as _, Float64Array, RecordBatch, UInt32Array, UInt64Array};
use arrow_schema::ArrowError;

use crate::columns::{Batch, Column, Kind};
use crate::read::{batches, column};
use crate::record::{CellRecord, IDENTITY, PROVENANCE, fill_shared};
use crate::{CellPlace, StoreError};

/// One layer. Sums, beside the tokens that they go over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LensRow {
    /// Index of the layer.
    pub layer: u32,
    /// Tokens that were looked at.
    pub tokens: u64,
    /// Tokens whose argmax no longer changes from this layer on.
    pub settled: u64,
    /// Tokens whose argmax is that of the last layer.
    pub agreeing: u64,
    /// Σ of the largest probability.
    pub probability: f64,
    /// Tokens that would leave here; none where no rule was given.
    pub leaving: Option<u64>,
}

const OWN: &[Column] = &[
    Column::new("layer", Kind::U32, "index of the layer"),
    Column::new("lens_tokens", Kind::U64, "tokens that were looked at"),
    Column::new(
        "settled",
        Kind::U64,
        "tokens whose argmax no longer changes from this layer on (easy tokens)",
    ),
    Column::new("agreeing", Kind::U64, "tokens whose argmax is that of the last layer"),
    Column::new("probability", Kind::F64, "sum over the tokens of the largest probability"),
    Column::optional(
        "leaving",
        Kind::U64,
        "tokens that would leave at this layer; null where neither threshold nor patience was given",
    ),
];

/// The columns of the table, in order.
pub fn lens_columns() -> Vec<Column> {
    [IDENTITY, OWN, PROVENANCE].concat()
}

pub(crate) fn floats(row: &LensRow) -> [(&'static str, f64); 1] {
    [("probability", row.probability)]
}

pub(crate) fn encode(record: &CellRecord, rows: &[LensRow]) -> Result<RecordBatch, ArrowError> {
    let mut batch = Batch::new(rows.len());
    fill_shared(&mut batch, record);
    batch.u32("layer", rows.iter().map(|row| row.layer));
    batch.u64("lens_tokens", rows.iter().map(|row| row.tokens));
    batch.u64("settled", rows.iter().map(|row| row.settled));
    batch.u64("agreeing", rows.iter().map(|row| row.agreeing));
    batch.f64("probability", rows.iter().map(|row| row.probability));
    batch.optional_u64("leaving", rows.iter().map(|row| row.leaving));
    batch.finish(&lens_columns())
}

/// The rows of a `lens` file, in full precision.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub fn read_lens(place: &(impl CellPlace + ?Sized)) -> Result<Vec<LensRow>, StoreError> {
    let path = place.file();
    let mut rows = Vec::new();
    for batch in batches(place)? {
        let count = |name| column::<UInt64Array>(path, &batch, name);
        let layer: &UInt32Array = column(path, &batch, "layer")?;
        let (tokens, leaving) = (count("lens_tokens")?, count("leaving")?);
        let (settled, agreeing) = (count("settled")?, count("agreeing")?);
        let probability: &Float64Array = column(path, &batch, "probability")?;
        rows.extend((0..batch.num_rows()).map(|row| LensRow {
            layer: layer.value(row),
            tokens: tokens.value(row),
            settled: settled.value(row),
            agreeing: agreeing.value(row),
            probability: probability.value(row),
            leaving: leaving.is_valid(row).then(|| leaving.value(row)),
        }));
    }
    Ok(rows)
}
