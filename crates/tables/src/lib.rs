//! The Parquet tables of a run, and the store that writes them atomically.
//!
//! One cell is one file, until many are folded into one ([`Store::fold`]). A run lies in one folder, hive-partitioned so that any reader of Parquet
//! can open it as one table:
//!
//! ```text
//! results/<run>/
//!   plan.toml, order.json                                     what was asked for
//!   windows/model=M/dataset=D/sparsity=0.9/window=64/<cell id>.parquet    protocols `ppl-T`
//!   windows/model=M/dataset=D/sparsity=0.9/window=64/cells-<cell id>-<n>.parquet    the same of many cells
//!   items/model=M/dataset=D/sparsity=0/window=__HIVE_DEFAULT_PARTITION__/<cell id>.parquet
//!   choices/...                                               protocols `choice-*`, one row a choice
//!   neurons/..., channels/..., overlaps/..., lens/...   what is observed
//!   failures/<cell id>.parquet
//!   atlas/*.parquet                                     what a report works out from these
//!   claims/<cell id>, claims/<worker>.beat                    who computes which cell, while workers run
//! ```
//!
//! The folder itself, its claims and the names of its files are `runs`, which knows nothing of Parquet.
//!
//! Key decision: the file system is the only book-keeping. A file gets its final name only when all
//! of it is on disk (temporary name, sync, rename, sync of the folder), so a complete file *is* the
//! record that its cell is done, and a process that is killed leaves nothing but a temporary file.
//!
//! # Example
//!
//! ```
//! use plan::{Cell, Recipe};
//! use tables::{
//!     CellRecord, Left, Provenance, RowShares, Store, Table, TokenColumns, Touched, WindowRow,
//!     read_windows,
//! };
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
//!     recipe: Recipe::dense(1),
//!     offset: None,
//!     compare: None,
//! };
//! let touched = Touched { parameters: 0.0, flops: 0.0, state_bytes: 0.0 };
//! let left = Left { stored_bytes: 2_000_000, parameters: 1_000_000 };
//! let record = CellRecord { id: "0a1b2c3d4e5f6071".into(), cell, touched, left, provenance };
//! let row = WindowRow {
//!     window_index: 0,
//!     nll_nats: 255.0 * 1.5,
//!     n_targets: 255,
//!     js_nats: None,
//!     shares: RowShares { natural_sparsity: Some(0.86), ..RowShares::default() },
//!     tokens: TokenColumns { worst_nll_nats: 9.5, n_worse_than_chance: 2, layers_per_token: None },
//! };
//!
//! let folder = tempfile::tempdir()?;
//! let store = Store::open(folder.path())?;
//! let file = store.write_windows(&record, &[row])?;
//! assert!(store.has(&record.id, &record.cell)?);
//! assert_eq!(read_windows(&file)?[0].nll_nats, 255.0 * 1.5);
//! # Ok(())
//! # }
//! ```

mod atlas;
mod attention;
mod attention_sites;
mod blocks;
mod cells;
mod channels;
mod choices;
mod columns;
mod compact;
mod directions;
mod failures;
mod footer;
mod frame;
mod items;
mod lens;
mod many;
mod neurons;
mod origin;
mod outcomes;
mod overlaps;
mod read;
mod record;
mod shown;
mod speed;
mod store;
mod token_columns;
mod training;
mod windows;
mod write;

pub use atlas::{
    OverlapMeanRow, PersistenceRow, ProxyGapRow, SimilarityRow, atlas_columns, write_overlap_means,
    write_persistence, write_proxy_gaps, write_similarities,
};
pub use attention::{AttentionRow, attention_columns};
pub use attention_sites::{AttentionSiteRow, write_attention_sites};
pub use blocks::{BlockRow, block_columns};
pub use cells::each_cell;
pub use channels::{ChannelRow, channel_columns};
pub use choices::{ChoiceRow, TaskColumns, choice_columns};
pub use columns::{Column, Kind};
pub use compact::{Folded, Scattered};
pub use directions::{DirectionRow, direction_columns};
pub use failures::failure_columns;
pub use footer::{CellPlace, cells_of_many, read_cell, read_cells};
pub use frame::Frame;
pub use items::{ItemRow, item_columns};
pub use lens::{LensRow, lens_columns, read_lens};
pub use neurons::{NeuronRow, neuron_columns};
pub use origin::{about_file, read_failure_record, read_origin};
pub use outcomes::{Outcome, outcomes};
pub use overlaps::{OverlapRow, overlap_columns};
pub use read::{
    read_attention, read_blocks, read_channels, read_choices, read_directions, read_failure,
    read_items, read_neurons, read_overlaps, read_windows,
};
pub use record::{CellRecord, Left, RowCache, RowShares, Touched};
pub use runs::{
    CellStatus, Damaged, FailureRecord, NO_WINDOW, ORDER, Origin, Part, Provenance, Retired, SPEED,
    Standing, StoreError, StoredFile, Survey, Table, outstanding, remove_temporaries, runs_in,
    space_of, utc,
};
pub use shown::{Shown, write_shown};
pub use speed::{Repeats, SpeedRow, speed_columns, write_speed};
pub use store::Store;
pub use token_columns::TokenColumns;
pub use training::{
    LayerRow, StepRow, SweepRow, layer_columns, step_columns, write_layers, write_steps,
    write_sweep,
};
pub use windows::{WindowRow, window_columns};

/// Version of the tables' layout, stored in every file under `slim.schema`.
///
/// A file of another version counts as not done.
pub const SCHEMA_VERSION: &str = "5";
