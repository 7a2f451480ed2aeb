//! Skips: what is decided while a model runs, as executors that act on kept sets.
//!
//! [`Masking`] is the reference: every rule of the specification written out token by token, then a
//! dense product with zeros. [`Skipping`] is what runs: the same kept sets by other means, and no
//! work for what is dropped. They share the words below and nothing that computes. [`StateMasking`] and
//! [`StateScanning`] are the same for the channels of recurrent states. [`ZeroSkipping`] drops nothing but
//! what is zero.
//!
//! # Example
//!
//! The same kept sets by the reference and by the fast executor:
//!
//! ```
//! use std::path::Path;
//!
//! use importance::Magnitude;
//! use models::{Batch, Device, Executor, into_values, load};
//! use skips::{Commitment, Masking, Selection, Skipping, Windowed};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = load(Path::new("../../data/models/opt-relu"), &Device::flex())?.model;
//! let selection = || {
//!     Selection::Windowed(Windowed {
//!         score: Box::new(Magnitude),
//!         sparsity: 0.5,
//!         commitment: Commitment::DYNAMIC,
//!         seed: 1,
//!         calibrated: Vec::new(),
//!     })
//! };
//! let batch = Batch::new([&[1, 2, 3, 4][..]]);
//! let logits = |executor: &mut dyn Executor| {
//!     model.forward(&batch, executor).map(|hidden| into_values(model.logits(hidden)))
//! };
//! let reference = logits(&mut Masking::new(selection()))?;
//! let fast = logits(&mut Skipping::new(selection(), model.ffns().len()))?;
//! assert!(reference.iter().zip(&fast).all(|(a, b)| (a - b).abs() < 1e-4));
//! # Ok(())
//! # }
//! ```

mod commitment;
mod exit;
mod heads;
mod kv;
mod lens;
mod masking;
mod overlap;
mod selection;
mod shares;
mod skipping;
mod state_masking;
mod state_scanning;
mod state_selection;
pub mod steps;
mod zeros;

pub use commitment::{Commitment, Rule};
pub use exit::{ExitMode, ExitRule, Exiting};
pub use heads::{HeadScore, HeadSelection, HeadSkipping};
pub use kv::{
    Attending, Averaged, HeadAttention, KeyHead, KvMasking, KvMode, KvScore, KvSelection,
    KvSkipping, SiteAttention, bucket_limits, sum_attention,
};
pub use lens::{LensSums, lens};
pub use masking::Masking;
pub use overlap::{LagOverlap, Overlapping, SiteOverlaps, sum_overlaps};
pub use selection::{Selection, Windowed};
pub use shares::{CacheBytes, Measuring, Shares};
pub use skipping::Skipping;
pub use state_masking::StateMasking;
pub use state_scanning::StateScanning;
pub use state_selection::{StateMode, StateSelection, StateWindowed};
pub use zeros::ZeroSkipping;
