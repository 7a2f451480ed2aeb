//! One row of a table: what was done, what was measured besides the loss, and how it is told
//! apart from its neighbours.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use plan::{Calibration, Cell, Mode, Part, Policy, Recalibration, Rule, Score, Treatment};
use serde::Serialize;

use crate::read::{CellResult, Rows};

/// Shares of what is pruned, mean over the cell's windows or items: of the FFN hidden, or, of a state,
/// of what reading its channels adds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Shares {
    /// Share of Σh² that the kept set holds.
    pub(crate) kept_energy: f64,
    /// Share of entries of h that are exactly zero.
    pub(crate) natural_sparsity: f64,
    /// Share of neurons or channels dropped.
    pub(crate) reached_sparsity: f64,
}

/// How much of the model the part of a cell is, whatever its sparsity; all zero when dense.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Touches {
    /// Share of the stored parameters.
    pub(crate) parameters: f64,
    /// Share of the operations of a token.
    pub(crate) flops: f64,
    /// Share of the bytes that mixers carry from token to token.
    pub(crate) state_bytes: f64,
}

/// One cell in a table; `M` is what its protocol measures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Row<M> {
    pub(crate) cell_id: String,
    pub(crate) label: String,
    pub(crate) cell: Cell,
    pub(crate) code_version: String,
    pub(crate) started_at_ms: i64,
    pub(crate) seconds: f64,
    pub(crate) tokens: u64,
    pub(crate) tokens_per_second: Option<f64>,
    pub(crate) peak_rss_bytes: u64,
    pub(crate) shares: Shares,
    pub(crate) touches: Touches,
    pub(crate) measured: M,
    /// What a reader has to know of this row: why it is not compared, how it differs from a row
    /// with the same treatment.
    pub(crate) notes: Vec<String>,
}

impl<M> Row<M> {
    pub(crate) fn of(result: &CellResult, measured: M, notes: Vec<String>) -> Self {
        let provenance = &result.provenance;
        let positive = provenance.seconds > 0.0;
        Row {
            cell_id: result.id.clone(),
            label: result.cell.label(),
            cell: result.cell.clone(),
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
            notes,
        }
    }
}

/// The newest of rows that could stand in one place; of equals the one with the lowest id.
pub(crate) fn newest<'a, M>(rows: impl IntoIterator<Item = &'a Row<M>>) -> Option<&'a Row<M>> {
    rows.into_iter().max_by_key(|row| (row.started_at_ms, std::cmp::Reverse(&row.cell_id)))
}

/// The dense row that findings and pictures are about: where code or limits changed between orders
/// there are several, and each row is compared with its own.
pub(crate) fn newest_dense<M>(rows: &[Row<M>]) -> Option<&Row<M>> {
    newest(rows.iter().filter(|row| row.cell.treatment.policy == Policy::Dense))
}

fn shares(rows: &Rows) -> Shares {
    let mean = |windows: fn(&tables::WindowRow) -> f64, items: fn(&tables::ItemRow) -> f64| {
        let (sum, n) = match rows {
            Rows::Windows(rows) => (rows.iter().map(windows).sum::<f64>(), rows.len()),
            Rows::Items(rows) => (rows.iter().map(items).sum::<f64>(), rows.len()),
        };
        sum / n as f64
    };
    Shares {
        kept_energy: mean(|row| row.kept_energy, |row| row.kept_energy),
        natural_sparsity: mean(|row| row.natural_sparsity, |row| row.natural_sparsity),
        reached_sparsity: mean(|row| row.reached_sparsity, |row| row.reached_sparsity),
    }
}

/// The order of rows: part (dense first), policy, κ, W, rule, score, mode, recalibration; then
/// whatever else tells two cells apart, so that the same cells always stand in the same order.
fn order(a: &CellResult, b: &CellResult) -> Ordering {
    let key = |result: &CellResult| {
        let Treatment { window, rule, score, prompt_tokens, .. } = result.cell.treatment;
        let Treatment { mode, recalibration, seed, .. } = result.cell.treatment;
        (window, rule, prompt_tokens, score, mode, recalibration, seed)
    };
    let block = |result: &CellResult| (result.cell.treatment.part, result.cell.treatment.policy);
    let sparsity = a.cell.treatment.sparsity.total_cmp(&b.cell.treatment.sparsity);
    block(a)
        .cmp(&block(b))
        .then(sparsity)
        .then_with(|| key(a).cmp(&key(b)))
        .then_with(|| a.cell.limit.cmp(&b.cell.limit))
        .then_with(|| a.cell.calibration.cmp(&b.cell.calibration))
        .then_with(|| a.provenance.started_at_ms.cmp(&b.provenance.started_at_ms))
        .then_with(|| a.id.cmp(&b.id))
}

/// What a table shows of a treatment.
type Shown = (
    (Part, Policy, Option<Mode>, Option<Recalibration>),
    (u64, Option<usize>, Option<Rule>, Option<usize>, Option<Score>),
);

fn shown(cell: &Cell) -> Shown {
    let Treatment { policy, sparsity, window, rule, prompt_tokens, score, .. } = cell.treatment;
    let Treatment { part, mode, recalibration, .. } = cell.treatment;
    let chosen = (sparsity.to_bits(), window, rule, prompt_tokens, score);
    ((part, policy, mode, recalibration), chosen)
}

/// The cells of one table, with what a row has to know of the others.
pub(crate) struct Group<'a> {
    /// In the order of the table.
    pub(crate) cells: Vec<&'a CellResult>,
    /// The dense ones.
    pub(crate) dense: Vec<&'a CellResult>,
    twins: BTreeMap<Shown, Vec<&'a CellResult>>,
    has_mixed_code: bool,
}

impl<'a> Group<'a> {
    pub(crate) fn new(mut cells: Vec<&'a CellResult>) -> Self {
        cells.sort_by(|a, b| order(a, b));
        let is_dense = |cell: &CellResult| cell.cell.treatment.policy == Policy::Dense;
        let dense = cells.iter().copied().filter(|cell| is_dense(cell)).collect();
        let mut twins: BTreeMap<Shown, Vec<&CellResult>> = BTreeMap::new();
        for &cell in &cells {
            twins.entry(shown(&cell.cell)).or_default().push(cell);
        }
        let code = |cell: &&'a CellResult| &cell.provenance.code_version;
        let has_mixed_code = cells.iter().any(|cell| code(cell) != code(&cells[0]));
        Group { cells, dense, twins, has_mixed_code }
    }

    /// Notes that tell `result` apart from the other cells of its table which look the same.
    pub(crate) fn distinguishing_notes(&self, result: &CellResult) -> Vec<String> {
        let mut notes = Vec::new();
        let cell = &result.cell;
        let twins = self.twins.get(&shown(cell)).map(Vec::as_slice).unwrap_or_default();
        if twins.iter().any(|twin| twin.cell.treatment.seed != cell.treatment.seed) {
            notes.push(format!("seed {}", cell.treatment.seed));
        }
        if twins.iter().any(|twin| twin.cell.limit != cell.limit) {
            notes.push(match cell.limit {
                Some(limit) => format!("limit {limit}"),
                None => "no limit".to_owned(),
            });
        }
        if twins.iter().any(|twin| twin.cell.calibration != cell.calibration) {
            notes.push(match &cell.calibration {
                Some(Calibration { dataset, limit: Some(limit), window_tokens }) => {
                    format!("calibrated on {limit} × {window_tokens} tokens of {dataset}")
                }
                Some(Calibration { dataset, .. }) => format!("calibrated on all of {dataset}"),
                None => "not calibrated".to_owned(),
            });
        }
        if self.has_mixed_code {
            notes.push(format!("code {}", short(&result.provenance.code_version)));
        }
        notes
    }
}

/// Whether a row drops neurons or channels of `part`; a dense row drops nothing of either.
pub(crate) fn is_of<M>(row: &Row<M>, part: Part) -> bool {
    row.cell.treatment.prunes() && row.cell.treatment.part == part
}

/// The first characters of a hash.
pub(crate) fn short(hash: &str) -> &str {
    hash.char_indices().nth(12).map_or(hash, |(end, _)| &hash[..end])
}
