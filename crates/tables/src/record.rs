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
    /// What its cuts left of the model.
    pub left: Left,
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

/// What the cuts of a recipe left of a model; all of it where there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Left {
    /// Bytes that it takes, see docs/SPEC.md section 11.
    pub stored_bytes: u64,
    /// Parameters that are stored.
    pub parameters: u64,
}

/// Identity columns, the first of every table of results.
///
/// `model`, `dataset`, `sparsity` and `window` are in the folder names, not in the files.
pub(crate) const IDENTITY: &[Column] = &[
    Column::new("protocol", Kind::Text, "evaluation protocol: ppl-T, lambada-openai, ..."),
    Column::new("recipe", Kind::Text, "the steps as one text: dense, cut=weights,method=..."),
    Column::new("recipe_json", Kind::Text, "the steps as a JSON list of objects"),
    Column::new(
        "policy",
        Kind::Text,
        "dense, static, dynamic, window or observe; recipe where several steps or others do it",
    ),
    Column::optional("score", Kind::Text, "what ranks units, of the last step that says it"),
    Column::optional("rule", Kind::Text, "how a window's set is chosen; null unless windowed"),
    Column::new("part", Kind::Text, "what the last step acts on: ffn, state, heads, kv, ..."),
    Column::new("seed", Kind::U64, "seed of everything random in the cell"),
    Column::optional("limit", Kind::U64, "windows or items asked for; null means all"),
    Column::optional(
        "offset",
        Kind::U64,
        "windows or items left out at the beginning of the text; null means none",
    ),
    Column::optional("prompt_tokens", Kind::U64, "tokens that the rule `prompt` sums over"),
    Column::optional("sinks", Kind::U64, "first positions of a cache that come before every score"),
    Column::optional(
        "mode",
        Kind::Text,
        "read or write, of exits full-context or propagate; null where no step has a mode",
    ),
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
    Column::new(
        "stored_bytes",
        Kind::U64,
        "bytes that the model takes as its cuts left it (SPEC section 11), 16 bits where nothing is rounded",
    ),
    Column::new("parameters_left", Kind::U64, "parameters that are stored, entries cut left out"),
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
    Column::new(
        "reached_sparsity",
        Kind::F64,
        "share dropped of what the last step that drops something drops, 0 to 1",
    ),
    Column::optional(
        "natural_sparsity",
        Kind::F64,
        "share of entries of h that are exactly 0, 0 to 1; null where units were cut",
    ),
    Column::optional(
        "kept_energy",
        Kind::F64,
        "share of the sum of h^2 that the kept set holds, 0 to 1; null where what was dropped is not there",
    ),
    Column::optional(
        "cache_bytes",
        Kind::U64,
        "bytes of keys and values, f32, cached after the last token; null where no position is skipped",
    ),
    Column::optional("cache_peak_bytes", Kind::U64, "the same after whichever token it is largest"),
    Column::optional("cache_dense_bytes", Kind::U64, "the same where nothing is skipped"),
];

/// Shares of what is pruned, as the columns of every table of results have them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RowShares {
    /// Share of units dropped, mean over sites.
    pub reached_sparsity: f64,
    /// Share of entries of h that are exactly zero; not known where units were cut.
    pub natural_sparsity: Option<f64>,
    /// Share of Σh² that the kept set holds; not known where what was dropped is not there.
    pub kept_energy: Option<f64>,
    /// What is cached of keys and values, where positions are skipped.
    pub cache: Option<RowCache>,
}

/// Bytes of cached keys and values, over all attentions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowCache {
    /// After the last token.
    pub left: u64,
    /// After whichever token it is largest.
    pub peak: u64,
    /// After the last token, where nothing is skipped.
    pub dense: u64,
}

/// Fills the columns [`SHARES`].
pub(crate) fn fill_shares<'a>(
    batch: &mut Batch,
    shares: impl Iterator<Item = &'a RowShares> + Clone,
) {
    batch.f64("reached_sparsity", shares.clone().map(|own| own.reached_sparsity));
    batch.optional_f64("natural_sparsity", shares.clone().map(|own| own.natural_sparsity));
    batch.optional_f64("kept_energy", shares.clone().map(|own| own.kept_energy));
    let cache = shares.map(|own| own.cache);
    batch.optional_u64("cache_bytes", cache.clone().map(|own| Some(own?.left)));
    batch.optional_u64("cache_peak_bytes", cache.clone().map(|own| Some(own?.peak)));
    batch.optional_u64("cache_dense_bytes", cache.map(|own| Some(own?.dense)));
}

/// Fills the identity and provenance columns of `record`.
pub(crate) fn fill_shared(batch: &mut Batch, record: &CellRecord) {
    let CellRecord { id, cell, touched, left, provenance } = record;
    let recipe = &cell.recipe;
    batch.same_text("protocol", &cell.protocol.to_string());
    batch.same_text("recipe", &recipe.text());
    batch.same_text("recipe_json", &recipe.json());
    batch.same_text("policy", policy(recipe));
    batch.same_text("part", recipe.steps().last().map_or("ffn", |step| step.kind().part));
    batch.same_u64("seed", Some(recipe.seed()));
    batch.same_u64("limit", cell.limit.map(|limit| limit as u64));
    batch.same_u64("offset", cell.offset.map(|offset| offset as u64));
    // Columns that are named as settings hold what the last step that has the setting says.
    let last = |name: &str| recipe.steps().iter().rev().find_map(|step| step.value(name));
    for name in ["score", "rule", "mode", "recalibration", "observation"] {
        batch.same_optional_text(name, last(name).map(|value| value.to_string()).as_deref());
    }
    for name in ["prompt_tokens", "sinks", "sample"] {
        batch.same_u64(name, recipe.steps().iter().rev().find_map(|step| step.count(name)));
    }
    batch.same_f64("touched_parameters", touched.parameters);
    batch.same_f64("touched_flops", touched.flops);
    batch.same_f64("touched_state_bytes", touched.state_bytes);
    batch.same_u64("stored_bytes", Some(left.stored_bytes));
    batch.same_u64("parameters_left", Some(left.parameters));
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

/// The policy of one step on neurons or channels; `recipe` of every other recipe.
pub(crate) fn policy(recipe: &plan::Recipe) -> &'static str {
    recipe.treatment().map_or("recipe", |flat| flat.policy.as_str())
}
