//! The table of `cargo xtask speed`: one row a model as it ran.

use std::path::Path;

use crate::StoreError;
use crate::columns::{Batch, Column, Kind};
use crate::write::{About, WriteError, write_atomically};

/// Repeats of one measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Repeats {
    /// The median.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The largest.
    pub most: f64,
}

/// One model as it ran.
#[derive(Debug, Clone, PartialEq)]
pub struct SpeedRow {
    /// The model.
    pub model: String,
    /// What the row is called.
    pub row: String,
    /// What ran it: `slim`, or a peer with its version.
    pub program: String,
    /// The recipe, as text.
    pub recipe: String,
    /// What its matrices were held in.
    pub weights: String,
    /// Whether zeros were `read` or `skip`ped.
    pub zeros: String,
    /// Parameters that are stored.
    pub parameters: u64,
    /// Bytes that are stored (docs/SPEC.md section 11).
    pub stored_bytes: Option<u64>,
    /// Tokens of a prompt per second.
    pub prefill_tokens_per_second: Repeats,
    /// Tokens one by one per second.
    pub decode_tokens_per_second: Repeats,
    /// The same over the dense row of the model, repeat by repeat.
    pub prefill_over_dense: Repeats,
    /// The same over the dense row of the model, repeat by repeat.
    pub decode_over_dense: Repeats,
    /// Bytes of matrices read for a decoded token.
    pub weight_bytes_per_token: Option<f64>,
    /// Bytes of keys, values and states after all tokens.
    pub cache_bytes: Option<u64>,
    /// Largest resident memory while it ran.
    pub peak_rss_bytes: u64,
    /// Share of hidden entries that are exactly zero.
    pub natural_zeros: Option<f64>,
    /// Perplexity of its text.
    pub perplexity: Option<f64>,
    /// The same over the dense row's.
    pub perplexity_over_dense: Option<f64>,
}

const COLUMNS: &[Column] = &[
    Column::new("model", Kind::Text, "the model"),
    Column::new("row", Kind::Text, "what the row is called"),
    Column::new("program", Kind::Text, "what ran it: slim, or a peer with its version"),
    Column::new("recipe", Kind::Text, "what was done to the model"),
    Column::new("weights", Kind::Text, "numbers that matrices were held in: f32, f16 or bf16"),
    Column::new("zeros", Kind::Text, "whether hidden entries that are zero were read or skipped"),
    Column::new("parameters", Kind::U64, "parameters that are stored"),
    Column::optional("stored_bytes", Kind::U64, "bytes that are stored"),
    Column::new("prefill_tokens_per_second", Kind::F64, "tokens of a prompt per second, median"),
    Column::new("prefill_tokens_per_second_least", Kind::F64, "the least of the repeats"),
    Column::new("prefill_tokens_per_second_most", Kind::F64, "the largest of the repeats"),
    Column::new("decode_tokens_per_second", Kind::F64, "tokens one by one per second, median"),
    Column::new("decode_tokens_per_second_least", Kind::F64, "the least of the repeats"),
    Column::new("decode_tokens_per_second_most", Kind::F64, "the largest of the repeats"),
    Column::new("prefill_over_dense", Kind::F64, "prefill over the dense row's, median of repeats"),
    Column::new("prefill_over_dense_least", Kind::F64, "the least of the repeats"),
    Column::new("prefill_over_dense_most", Kind::F64, "the largest of the repeats"),
    Column::new("decode_over_dense", Kind::F64, "decode over the dense row's, median of repeats"),
    Column::new("decode_over_dense_least", Kind::F64, "the least of the repeats"),
    Column::new("decode_over_dense_most", Kind::F64, "the largest of the repeats"),
    Column::optional("weight_bytes_per_token", Kind::F64, "bytes of matrices read for a token"),
    Column::optional("cache_bytes", Kind::U64, "bytes of keys, values and states at the end"),
    Column::new("peak_rss_bytes", Kind::U64, "largest resident memory while it ran"),
    Column::optional("natural_zeros", Kind::F64, "share of hidden entries that are zero"),
    Column::optional("perplexity", Kind::F64, "perplexity of its text"),
    Column::optional("perplexity_over_dense", Kind::F64, "the same over the dense row's"),
];

/// The columns of the table, in order.
pub fn speed_columns() -> Vec<Column> {
    COLUMNS.to_vec()
}

/// Writes the rows; the file appears complete or not at all.
///
/// # Errors
/// A number that is not finite, or a disk that refuses.
pub fn write_speed(path: &Path, rows: &[SpeedRow]) -> Result<(), StoreError> {
    let unreadable = |reason: String| StoreError::Unreadable { path: path.to_owned(), reason };
    let mut batch = Batch::new(rows.len());
    type OfText = fn(&SpeedRow) -> &str;
    let texts: [(&'static str, OfText); 6] = [
        ("model", |row| &row.model),
        ("row", |row| &row.row),
        ("program", |row| &row.program),
        ("recipe", |row| &row.recipe),
        ("weights", |row| &row.weights),
        ("zeros", |row| &row.zeros),
    ];
    for (name, of) in texts {
        batch.text(name, rows.iter().map(of));
    }
    batch.u64("parameters", rows.iter().map(|row| row.parameters));
    batch.optional_u64("stored_bytes", rows.iter().map(|row| row.stored_bytes));
    type OfRepeats = fn(&SpeedRow) -> Repeats;
    let repeated: [([&'static str; 3], OfRepeats); 4] = [
        (
            [
                "prefill_tokens_per_second",
                "prefill_tokens_per_second_least",
                "prefill_tokens_per_second_most",
            ],
            |row| row.prefill_tokens_per_second,
        ),
        (
            [
                "decode_tokens_per_second",
                "decode_tokens_per_second_least",
                "decode_tokens_per_second_most",
            ],
            |row| row.decode_tokens_per_second,
        ),
        (["prefill_over_dense", "prefill_over_dense_least", "prefill_over_dense_most"], |row| {
            row.prefill_over_dense
        }),
        (["decode_over_dense", "decode_over_dense_least", "decode_over_dense_most"], |row| {
            row.decode_over_dense
        }),
    ];
    for ([median, least, most], of) in repeated {
        batch.f64(median, rows.iter().map(|row| of(row).median));
        batch.f64(least, rows.iter().map(|row| of(row).least));
        batch.f64(most, rows.iter().map(|row| of(row).most));
    }
    batch.optional_f64("weight_bytes_per_token", rows.iter().map(|row| row.weight_bytes_per_token));
    batch.optional_u64("cache_bytes", rows.iter().map(|row| row.cache_bytes));
    batch.u64("peak_rss_bytes", rows.iter().map(|row| row.peak_rss_bytes));
    batch.optional_f64("natural_zeros", rows.iter().map(|row| row.natural_zeros));
    batch.optional_f64("perplexity", rows.iter().map(|row| row.perplexity));
    batch.optional_f64("perplexity_over_dense", rows.iter().map(|row| row.perplexity_over_dense));
    let batch = batch.finish(COLUMNS).map_err(|error| unreadable(error.to_string()))?;
    let settings = About::settings("{\"command\":\"cargo xtask speed\"}");
    write_atomically(path, &batch, settings).map_err(|error| match error {
        WriteError::Encode(reason) => unreadable(reason),
        WriteError::Store(error) => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Frame;

    #[test]
    fn rows_come_back() {
        let repeats = |median: f64| Repeats { median, least: median / 2.0, most: 2.0 * median };
        let dense = SpeedRow {
            model: "m".to_owned(),
            row: "dense".to_owned(),
            program: "slim".to_owned(),
            recipe: "dense".to_owned(),
            weights: "f32".to_owned(),
            zeros: "read".to_owned(),
            parameters: 7,
            stored_bytes: Some(14),
            prefill_tokens_per_second: repeats(100.0),
            decode_tokens_per_second: repeats(10.0),
            prefill_over_dense: repeats(1.0),
            decode_over_dense: repeats(1.0),
            weight_bytes_per_token: Some(28.0),
            cache_bytes: None,
            peak_rss_bytes: 99,
            natural_zeros: None,
            perplexity: Some(3.0),
            perplexity_over_dense: Some(1.0),
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(runs::SPEED);
        let peer = SpeedRow { row: "peer".to_owned(), perplexity: None, ..dense.clone() };
        write_speed(&path, &[dense, peer]).unwrap();
        let frame = Frame::read(&path, None).unwrap();
        assert_eq!(frame.f64s("decode_tokens_per_second_most").unwrap(), [Some(20.0); 2]);
        assert_eq!(frame.f64s("perplexity").unwrap(), [Some(3.0), None]);
        assert_eq!(
            frame.texts("row").unwrap(),
            ["dense", "peer"].map(|name| Some(name.to_owned()))
        );
    }
}
