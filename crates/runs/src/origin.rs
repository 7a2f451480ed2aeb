//! Where the rows of a file come from, and what a failure leaves behind.

use serde::{Deserialize, Serialize};

/// Where the numbers of a cell come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// `git describe --always --dirty` of the source, or `unknown`.
    pub revision: String,
    /// Digest of the source code that computes numbers.
    pub code_version: String,
    /// Versions of what was used, e.g. `slim 0.1.0; burn 0.22.1; rustc 1.95.0`.
    pub versions: String,
    /// Name of the machine.
    pub host: String,
    /// Name of its processor.
    pub cpu: String,
    /// What computed: `cpu`, `cuda:0`, `wgpu:0`.
    pub device: String,
    /// When the cell was begun, in milliseconds since 1970 (UTC).
    pub started_at_ms: i64,
    /// Wall-clock seconds of the whole cell.
    pub seconds: f64,
    /// Largest resident memory of the process so far, in bytes.
    pub peak_rss_bytes: u64,
    /// Tokens that the model read in the whole cell.
    pub tokens: u64,
    /// SHA-256 of the weights.
    pub weights_sha256: String,
    /// SHA-256 of the tokenizer.
    pub tokenizer_sha256: String,
    /// SHA-256 of the evaluated text.
    pub text_sha256: String,
    /// SHA-256 of the calibration text, where one was used.
    pub calibration_sha256: Option<String>,
}

/// What a file of results says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The cell id that its rows carry.
    pub cell_id: String,
    /// Rows.
    pub rows: u64,
    /// Where its numbers come from.
    pub provenance: Provenance,
}

/// A cell that failed, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureRecord {
    /// The cell id, see [`plan::cell_id`].
    pub id: String,
    /// The cell.
    pub cell: plan::Cell,
    /// Why it failed, as one chain of causes.
    pub error: String,
    /// `git describe --always --dirty` of the source, or `unknown`.
    pub revision: String,
    /// Digest of the source code that computes numbers.
    pub code_version: String,
    /// Name of the machine.
    pub host: String,
    /// When the cell was begun, in milliseconds since 1970 (UTC).
    pub started_at_ms: i64,
    /// Wall-clock seconds until it failed.
    pub seconds: f64,
}

/// What one file says of itself; the worker's answer to those who do not read Parquet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileAbout {
    /// A file of results.
    Results(Origin),
    /// The record of a failure.
    Failure(FailureRecord),
    /// It cannot be read, and why.
    Unreadable(String),
}
