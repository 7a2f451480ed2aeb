//! Exit codes, shared by `xtask`, `worker` and `report`.

/// Everything that was asked for is done.
pub const DONE: i32 = 0;
/// The run ended, but some cells failed; their errors are rows of the failures table.
pub const FAILED_CELLS: i32 = 1;
/// The pipeline file or the command line is wrong.
pub const BAD_PIPELINE: i32 = 2;
/// An input (weights, text) is missing or has the wrong hash.
pub const BAD_INPUTS: i32 = 3;
/// The results folder cannot be used: not writable, not a folder, or deleted under the run.
pub const BAD_RESULTS: i32 = 4;
/// Stopped before the end; the same command goes on where it stopped.
pub const STOPPED: i32 = 5;
