//! What all rows of one cell share: its identity and where its numbers come from.

use runs::Provenance;

use crate::columns::{Batch, Column, Kind};

/// A cell with everything its rows repeat.
#[derive(Debug, Clone, PartialEq)]
pub struct CellRecord {
    /// The cell id, see [`plan::cell_id`].
    pub id: String,
    /// The cell.
    pub cell: plan::Cell,
    /// How much of the model its part is.
    pub touched: Touched,
    /// Where its numbers come from.
    pub provenance: Provenance,
}

/// How much of the model the prunable part of a cell is, whatever its sparsity; all zero when dense.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Touched {
    /// Share of the stored parameters, 0 to 1.
    pub parameters: f64,
    /// Share of the operations of a token, 0 to 1.
    pub flops: f64,
    /// Share of the bytes that mixers carry from token to token, 0 to 1.
    pub state_bytes: f64,
}

/// Identity columns, the first of every table of results.
///
/// `model`, `dataset`, `sparsity` and `window` are in the folder names, not in the files.
pub(crate) const IDENTITY: &[Column] = &[
    Column::new("protocol", Kind::Text, "evaluation protocol: ppl-T, lambada-openai, ..."),
    Column::new("policy", Kind::Text, "dense, static, dynamic, window or observe"),
    Column::optional("score", Kind::Text, "what ranks the neurons; null when dense"),
    Column::optional("rule", Kind::Text, "how a window's set is chosen; null unless windowed"),
    Column::new("part", Kind::Text, "what is pruned or observed: ffn or state"),
    Column::new("seed", Kind::U64, "seed of everything random in the cell"),
    Column::optional("limit", Kind::U64, "windows or items asked for; null means all"),
    Column::optional("prompt_tokens", Kind::U64, "tokens that the rule `prompt` sums over"),
    Column::optional("mode", Kind::Text, "read or write; null unless a state's set changes"),
    Column::optional("recalibration", Kind::Text, "sequential or one-shot; null unless of a state"),
    Column::optional("observation", Kind::Text, "what is measured; null unless observed"),
    Column::optional("sample", Kind::U64, "neurons or channels of a site that were ablated"),
    Column::new(
        "touched_parameters",
        Kind::F64,
        "share of the parameters that the part is, 0 to 1",
    ),
    Column::new("touched_flops", Kind::F64, "share of a token's operations, 0 to 1"),
    Column::new("touched_state_bytes", Kind::F64, "share of the recurrent state's bytes, 0 to 1"),
];

/// Provenance columns, the last of every table of results.
pub(crate) const PROVENANCE: &[Column] = &[
    Column::new("cell_id", Kind::Text, "first 16 hex digits of the cell's canonical SHA-256"),
    Column::new("revision", Kind::Text, "git describe --always --dirty of the source"),
    Column::new("code_version", Kind::Text, "digest of the source that computes numbers"),
    Column::new("versions", Kind::Text, "versions of this program, burn and rustc"),
    Column::new("host", Kind::Text, "name of the machine"),
    Column::new("cpu", Kind::Text, "name of its processor"),
    Column::new("device", Kind::Text, "what computed: cpu, cuda:0, wgpu:0"),
    Column::new("started_at", Kind::TimestampMs, "when the cell was begun, UTC"),
    Column::new("seconds", Kind::F64, "wall-clock seconds of the whole cell"),
    Column::new("peak_rss_bytes", Kind::U64, "largest resident memory of the process, bytes"),
    Column::new("tokens", Kind::U64, "tokens read in the whole cell"),
    Column::new("weights_sha256", Kind::Text, "SHA-256 of the weights"),
    Column::new("tokenizer_sha256", Kind::Text, "SHA-256 of the tokenizer"),
    Column::new("text_sha256", Kind::Text, "SHA-256 of the evaluated text"),
    Column::optional("calibration_sha256", Kind::Text, "SHA-256 of the calibration text"),
];

/// Shares of what is pruned, measured per window or item: entries of the FFN hidden `h`, or, of a state,
/// what reading a channel adds (`h^2` is then `H^2·C'^2`, summed over heads and `p`).
pub(crate) const SHARES: &[Column] = &[
    Column::new("reached_sparsity", Kind::F64, "share of neurons dropped, mean over sites, 0 to 1"),
    Column::new("natural_sparsity", Kind::F64, "share of entries of h that are exactly 0, 0 to 1"),
    Column::new(
        "kept_energy",
        Kind::F64,
        "share of the sum of h^2 that the kept set holds, 0 to 1",
    ),
];

/// Fills the identity and provenance columns of `record`.
pub(crate) fn fill_shared(batch: &mut Batch, record: &CellRecord) {
    let CellRecord { id, cell, touched, provenance } = record;
    let treatment = &cell.treatment;
    batch.same_text("protocol", &cell.protocol.to_string());
    batch.same_text("policy", treatment.policy.as_str());
    batch.same_optional_text("score", treatment.score.map(|score| score.as_str()));
    batch.same_optional_text("rule", treatment.rule.map(|rule| rule.as_str()));
    batch.same_text("part", treatment.part.as_str());
    batch.same_u64("seed", Some(treatment.seed));
    batch.same_u64("limit", cell.limit.map(|limit| limit as u64));
    batch.same_u64("prompt_tokens", treatment.prompt_tokens.map(|tokens| tokens as u64));
    batch.same_optional_text("mode", treatment.mode.map(|mode| mode.as_str()));
    batch.same_optional_text("recalibration", treatment.recalibration.map(|r| r.as_str()));
    batch.same_optional_text("observation", treatment.observation.map(|o| o.as_str()));
    batch.same_u64("sample", treatment.sample.map(|n| n as u64));
    batch.same_f64("touched_parameters", touched.parameters);
    batch.same_f64("touched_flops", touched.flops);
    batch.same_f64("touched_state_bytes", touched.state_bytes);
    batch.same_text("cell_id", id);
    batch.same_text("revision", &provenance.revision);
    batch.same_text("code_version", &provenance.code_version);
    batch.same_text("versions", &provenance.versions);
    batch.same_text("host", &provenance.host);
    batch.same_text("cpu", &provenance.cpu);
    batch.same_text("device", &provenance.device);
    batch.same_timestamp("started_at", provenance.started_at_ms);
    batch.same_f64("seconds", provenance.seconds);
    batch.same_u64("peak_rss_bytes", Some(provenance.peak_rss_bytes));
    batch.same_u64("tokens", Some(provenance.tokens));
    batch.same_text("weights_sha256", &provenance.weights_sha256);
    batch.same_text("tokenizer_sha256", &provenance.tokenizer_sha256);
    batch.same_text("text_sha256", &provenance.text_sha256);
    batch.same_optional_text("calibration_sha256", provenance.calibration_sha256.as_deref());
}
