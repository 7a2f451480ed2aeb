//! Runs a protocol over a model with an executor: one result a window or item, never an average.

mod items;
mod windows;

pub use items::{ItemResult, evaluate_items};
pub use windows::{WindowResult, evaluate_windows};
