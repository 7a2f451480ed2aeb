//! The folder of a run, without its rows: which files it holds, and who computes which cell of it.
//!
//! Nothing here opens a Parquet file; that is `tables`. What only asks for the state of a run, or passes
//! it on, needs neither Arrow nor Parquet, and is built in seconds.

mod claims;
mod error;
mod folder;
mod in_hand;
mod instant;
mod listing;
mod origin;
mod outstanding;
mod pulse;
mod survey;
mod swap;
mod table;
mod watch;

pub use claims::{Attempt, Claim, Claims};
pub use error::StoreError;
pub use folder::{RunFolder, TableFile, remove_temporaries};
pub use in_hand::InHand;
pub use instant::utc;
pub use listing::{ORDER, PLAN, SPEED, runs_in, space_of};
pub use origin::{FailureRecord, FileAbout, Origin, Provenance};
pub use outstanding::outstanding;
pub use survey::{CellStatus, Damaged, Part, Standing, StoredFile, Survey, SurveyAnswer};
pub use swap::{Retired, Swap};
pub use table::Table;
pub use watch::Pace;

/// Folder name of the `window` partition for cells without a window (dense, static).
pub const NO_WINDOW: &str = "__HIVE_DEFAULT_PARTITION__";

/// How the name of a file begins that holds many cells; the names of others are ids, which are hex digits.
pub const MANY: &str = "cells-";
