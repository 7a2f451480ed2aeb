//! From scores to kept sets, and the executors that act on them.
//!
//! [`Masking`] is the reference: every rule of the specification written out token by token, then a
//! dense product with zeros. [`Skipping`] is what runs: the same kept sets by other means, and no
//! work for what is dropped. They share the words below and nothing that computes. [`StateMasking`] and
//! [`StateScanning`] are the same for the channels of recurrent states.

mod commitment;
mod cut;
mod masking;
mod overlap;
mod selection;
mod shares;
mod skipping;
mod state_cut;
mod state_masking;
mod state_scanning;
mod state_selection;

pub use commitment::{Commitment, Rule};
pub use cut::{cut, static_sets};
pub use masking::Masking;
pub use overlap::{LagOverlap, Overlapping, SiteOverlaps, sum_overlaps};
pub use selection::{Selection, Windowed};
pub use shares::{Measuring, Shares};
pub use skipping::Skipping;
pub use state_cut::{cut_states, recalibrated_state_sets, state_sets};
pub use state_masking::StateMasking;
pub use state_scanning::StateScanning;
pub use state_selection::{StateMode, StateSelection, StateWindowed};
