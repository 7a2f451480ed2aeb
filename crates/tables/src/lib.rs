//! The Parquet tables of a run, and the store that writes them atomically.
//!
//! One cell is one file. A run lies in one folder, hive-partitioned so that any reader of Parquet
//! can open it as one table:
//!
//! ```text
//! results/<run>/
//!   plan.toml, order.json                                     what was asked for
//!   windows/model=M/dataset=D/sparsity=0.9/window=64/<cell id>.parquet    protocols `ppl-T`
//!   items/model=M/dataset=D/sparsity=0/window=__HIVE_DEFAULT_PARTITION__/<cell id>.parquet
//!   neurons/..., channels/..., overlaps/...             what the policy `observe` measures
//!   failures/<cell id>.parquet
//!   atlas/*.parquet                                     what a report works out from these
//!   .lock                                                     held while a worker runs
//! ```
//!
//! Key decision: the file system is the only book-keeping. A file gets its final name only when all
//! of it is on disk (temporary name, sync, rename, sync of the folder), so a complete file *is* the
//! record that its cell is done, and a process that is killed leaves nothing but a temporary file.
//!
//! # Example
//!
//! ```
//! use plan::{Cell, Treatment};
//! use tables::{CellRecord, Provenance, Store, Table, Touched, WindowRow, read_windows};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let provenance = Provenance {
//! #     revision: "abc".into(), code_version: "0123456789abcdef".into(), versions: "slim 0.1.0".into(),
//! #     host: "here".into(), cpu: "some cpu".into(), device: "cpu".into(), started_at_ms: 0, seconds: 1.0,
//! #     peak_rss_bytes: 0, tokens: 256, weights_sha256: "aa".into(), tokenizer_sha256: "bb".into(),
//! #     text_sha256: "cc".into(), calibration_sha256: None,
//! # };
//! let cell = Cell {
//!     model: "opt-relu".into(),
//!     dataset: "narrative".into(),
//!     protocol: "ppl-256".parse()?,
//!     limit: Some(1),
//!     calibration: None,
//!     treatment: Treatment::dense(1),
//! };
//! let touched = Touched { parameters: 0.0, flops: 0.0, state_bytes: 0.0 };
//! let record = CellRecord { id: "0a1b2c3d4e5f6071".into(), cell, touched, provenance };
//! let row = WindowRow {
//!     window_index: 0,
//!     nll_nats: 255.0 * 1.5,
//!     n_targets: 255,
//!     reached_sparsity: 0.0,
//!     natural_sparsity: 0.86,
//!     kept_energy: 1.0,
//! };
//!
//! let folder = tempfile::tempdir()?;
//! let store = Store::open(folder.path())?;
//! let _held = store.lock()?;
//! let file = store.write_windows(&record, &[row])?;
//! assert!(store.has(&record.id, &record.cell)?);
//! assert_eq!(read_windows(&file)?[0].nll_nats, 255.0 * 1.5);
//! # Ok(())
//! # }
//! ```

mod atlas;
mod channels;
mod columns;
mod error;
mod failures;
mod instant;
mod items;
mod lock;
mod neurons;
mod origin;
mod outstanding;
mod overlaps;
mod read;
mod record;
mod runs;
mod store;
mod table;
mod training;
mod windows;
mod write;

pub use atlas::{
    OverlapMeanRow, PersistenceRow, ProxyGapRow, SimilarityRow, atlas_columns, write_overlap_means,
    write_persistence, write_proxy_gaps, write_similarities,
};
pub use channels::{ChannelRow, channel_columns};
pub use columns::{Column, Kind};
pub use error::StoreError;
pub use failures::{FailureRecord, failure_columns};
pub use instant::utc;
pub use items::{ItemRow, item_columns};
pub use lock::Lock;
pub use neurons::{NeuronRow, neuron_columns};
pub use origin::{Origin, read_failure_record, read_origin};
pub use outstanding::outstanding;
pub use overlaps::{OverlapRow, overlap_columns};
pub use read::{
    read_cell, read_channels, read_failure, read_items, read_neurons, read_overlaps, read_windows,
};
pub use record::{CellRecord, Provenance, Touched};
pub use runs::{ORDER, runs_in};
pub use store::{CellStatus, Damaged, Store, StoredFile, Survey, remove_temporaries};
pub use table::Table;
pub use training::{
    LayerRow, StepRow, SweepRow, layer_columns, step_columns, write_layers, write_steps,
    write_sweep,
};
pub use windows::{WindowRow, window_columns};

/// Version of the tables' layout, stored in every file under `slim.schema`.
///
/// A file of another version counts as not done.
pub const SCHEMA_VERSION: &str = "3";

/// Folder name of the `window` partition for cells without a window (dense, static).
pub const NO_WINDOW: &str = "__HIVE_DEFAULT_PARTITION__";
