//! The table `neurons`: one row per site and neuron, with the scores that one observation gave.
//!
//! Sums over tokens are stored as sums, so that two halves of a text add up, and uses of a shared block.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use crate::columns::{Batch, Column, Kind};
use crate::record::{CellRecord, IDENTITY, PROVENANCE, fill_shared};

/// The scores of one neuron at one site; what the cell did not observe is absent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct NeuronRow {
    /// Index of the site, in the order of the forward pass.
    pub site: u32,
    /// Layer it stands in.
    pub layer: u32,
    /// The block whose weights it uses; sites that share one have the same number.
    pub block: u32,
    /// The neuron, from 0.
    pub neuron: u32,
    /// Tokens of the sums.
    pub tokens: u64,
    /// `Σ_t |h_ti|`.
    pub magnitude: Option<f64>,
    /// `Σ_t h_ti²`.
    pub energy: Option<f64>,
    /// `‖w_i‖₂`.
    pub weight: Option<f64>,
    /// `Σ_t |h_ti|·‖w_i‖₂`.
    pub impact: Option<f64>,
    /// `‖h_·i‖₂·‖w_i‖₁`.
    pub wanda: Option<f64>,
    /// `Σ_t g_ti·h_ti`, signed.
    pub slope: Option<f64>,
    /// `|Σ_t g_ti·h_ti|`.
    pub taylor: Option<f64>,
    /// `Σ_t (g_ti·h_ti)²`.
    pub fisher: Option<f64>,
    /// Rise of the mean NLL when the neuron alone is dropped at this site, nats per target.
    pub ablation: Option<f64>,
}

const INDEX: &[Column] = &[
    Column::new("site", Kind::U32, "index of the site, in the order of the forward pass"),
    Column::new("layer", Kind::U32, "layer that the site stands in"),
    Column::new("block", Kind::U32, "block whose weights it uses; shared blocks have one number"),
    Column::new("neuron", Kind::U32, "index of the neuron, from 0"),
    Column::new("site_tokens", Kind::U64, "tokens that the sums go over"),
];

type Value = (Column, fn(&NeuronRow) -> Option<f64>);

const VALUES: &[Value] = &[
    (Column::optional("magnitude", Kind::F64, "sum over tokens of |h|"), |row| row.magnitude),
    (Column::optional("energy", Kind::F64, "sum over tokens of h^2"), |row| row.energy),
    (Column::optional("weight", Kind::F64, "2-norm of the outgoing weights"), |row| row.weight),
    (Column::optional("impact", Kind::F64, "sum of |h| times the 2-norm"), |row| row.impact),
    (Column::optional("wanda", Kind::F64, "2-norm of h times 1-norm of weights"), |row| row.wanda),
    (Column::optional("slope", Kind::F64, "sum over tokens of g*h, nats"), |row| row.slope),
    (Column::optional("taylor", Kind::F64, "|sum over tokens of g*h|, nats"), |row| row.taylor),
    (Column::optional("fisher", Kind::F64, "sum over tokens of (g*h)^2"), |row| row.fisher),
    (
        Column::optional("ablation", Kind::F64, "rise of the mean NLL without it, nats per target"),
        |row| row.ablation,
    ),
];

/// The columns of the table, in order.
pub fn neuron_columns() -> Vec<Column> {
    let values: Vec<Column> = VALUES.iter().map(|(column, _)| *column).collect();
    [IDENTITY, INDEX, &values, PROVENANCE].concat()
}

/// The numbers of a row that are there; the others count as 0 where finite ones are asked for.
pub(crate) fn floats(row: &NeuronRow) -> [(&'static str, f64); 9] {
    std::array::from_fn(|i| {
        let (column, value) = VALUES[i];
        (column.name, value(row).unwrap_or(0.0))
    })
}

pub(crate) fn encode(record: &CellRecord, rows: &[NeuronRow]) -> Result<RecordBatch, ArrowError> {
    let mut batch = Batch::new(rows.len());
    fill_shared(&mut batch, record);
    batch.u32("site", rows.iter().map(|row| row.site));
    batch.u32("layer", rows.iter().map(|row| row.layer));
    batch.u32("block", rows.iter().map(|row| row.block));
    batch.u32("neuron", rows.iter().map(|row| row.neuron));
    batch.u64("site_tokens", rows.iter().map(|row| row.tokens));
    for (column, value) in VALUES {
        batch.optional_f64(column.name, rows.iter().map(value));
    }
    batch.finish(&neuron_columns())
}
