//! The table `channels`: one row per state site and channel, with the scores that one observation gave.
//!
//! Symbols are those of docs/SPEC.md section 5; sums over tokens are stored as sums.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use crate::columns::{Batch, Column, Kind};
use crate::record::{CellRecord, IDENTITY, PROVENANCE, fill_shared};

/// The scores of one channel of one group at one site; what the cell did not observe is absent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ChannelRow {
    /// Index of the site: the mixers in the order of the forward pass.
    pub site: u32,
    /// Layer it stands in.
    pub layer: u32,
    /// Group, from 0.
    pub group: u32,
    /// Channel of the group, from 0.
    pub channel: u32,
    /// Tokens of the sums.
    pub tokens: u64,
    /// `Σ_t Σ_heads Σ_p H²·C'²`.
    pub readout: Option<f64>,
    /// `Σ_t Σ_heads Σ_p H²`.
    pub state_energy: Option<f64>,
    /// `Σ_t C'²`.
    pub read_energy: Option<f64>,
    /// Tokens after which half of what was written is left: the mean over the heads of the group, each with
    /// the weight of what it held of the channel at the ends of sequences.
    pub half_life_tokens: Option<f64>,
    /// `sqrt(mean_t Σ_heads Σ_p H²·C'²)`.
    pub ghost: Option<f64>,
    /// `mean(H²)·mean(C'²)`.
    pub ghost_factored: Option<f64>,
    /// `‖W_B[n]‖₂·‖W_C[n]‖₂`.
    pub state_weight: Option<f64>,
    /// `Σ_t C'_t·∂(mean NLL)/∂C'_t`, signed.
    pub slope: Option<f64>,
    /// Its absolute value.
    pub state_taylor: Option<f64>,
    /// Rise of the mean NLL when the channel alone is dropped for ever, nats per target.
    pub ablation: Option<f64>,
    /// The same when it is dropped in every other window, in `read` mode.
    pub ablation_read: Option<f64>,
    /// The same in `write` mode.
    pub ablation_write: Option<f64>,
}

const INDEX: &[Column] = &[
    Column::new("site", Kind::U32, "index of the mixer, in the order of the forward pass"),
    Column::new("layer", Kind::U32, "layer that the mixer stands in"),
    Column::new("group", Kind::U32, "group of heads, from 0"),
    Column::new("channel", Kind::U32, "state channel of the group, from 0"),
    Column::new("site_tokens", Kind::U64, "tokens that the sums go over"),
    Column::optional("dropped_tokens", Kind::U64, "tokens of the windows that an ablation drops"),
];

type Value = (Column, fn(&ChannelRow) -> Option<f64>);

const VALUES: &[Value] = &[
    (Column::optional("readout", Kind::F64, "sum over tokens, heads, p of H^2 C'^2"), |row| {
        row.readout
    }),
    (Column::optional("state_energy", Kind::F64, "sum over tokens, heads, p of H^2"), |row| {
        row.state_energy
    }),
    (Column::optional("read_energy", Kind::F64, "sum over tokens of C'^2"), |row| row.read_energy),
    (
        Column::optional(
            "half_life_tokens",
            Kind::F64,
            "ln 2 / mean(-dt A), tokens; heads by what they hold",
        ),
        |row| row.half_life_tokens,
    ),
    (Column::optional("ghost", Kind::F64, "sqrt of the mean over tokens of readout"), |row| {
        row.ghost
    }),
    (Column::optional("ghost_factored", Kind::F64, "mean(H^2) times mean(C'^2)"), |row| {
        row.ghost_factored
    }),
    (Column::optional("state_weight", Kind::F64, "2-norms of W_B and W_C, multiplied"), |row| {
        row.state_weight
    }),
    (Column::optional("slope", Kind::F64, "sum over tokens of C' dNLL/dC', nats"), |row| row.slope),
    (Column::optional("state_taylor", Kind::F64, "absolute value of slope, nats"), |row| {
        row.state_taylor
    }),
    (
        Column::optional("ablation", Kind::F64, "rise of the mean NLL without it, nats per target"),
        |row| row.ablation,
    ),
    (
        Column::optional("ablation_read", Kind::F64, "the same, every other window, read mode"),
        |row| row.ablation_read,
    ),
    (
        Column::optional("ablation_write", Kind::F64, "the same, every other window, write mode"),
        |row| row.ablation_write,
    ),
];

/// The columns of the table, in order.
pub fn channel_columns() -> Vec<Column> {
    let values: Vec<Column> = VALUES.iter().map(|(column, _)| *column).collect();
    [IDENTITY, INDEX, &values, PROVENANCE].concat()
}

/// The numbers of a row that are there; the others count as 0 where finite ones are asked for.
pub(crate) fn floats(row: &ChannelRow) -> [(&'static str, f64); 12] {
    std::array::from_fn(|i| {
        let (column, value) = VALUES[i];
        (column.name, value(row).unwrap_or(0.0))
    })
}

pub(crate) fn encode(record: &CellRecord, rows: &[ChannelRow]) -> Result<RecordBatch, ArrowError> {
    let mut batch = Batch::new(rows.len());
    fill_shared(&mut batch, record);
    batch.u32("site", rows.iter().map(|row| row.site));
    batch.u32("layer", rows.iter().map(|row| row.layer));
    batch.u32("group", rows.iter().map(|row| row.group));
    batch.u32("channel", rows.iter().map(|row| row.channel));
    batch.u64("site_tokens", rows.iter().map(|row| row.tokens));
    batch.same_u64(
        "dropped_tokens",
        record.cell.recipe.steps().last().and_then(|step| step.count("window")),
    );
    for (column, value) in VALUES {
        batch.optional_f64(column.name, rows.iter().map(value));
    }
    batch.finish(&channel_columns())
}
