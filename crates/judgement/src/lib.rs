//! What the rows of tables come to: intervals and tests, claims, the importance atlas, part × method,
//! dials, comparisons of runs. All of it as values; nothing here formats a number, and nothing draws.
//!
//! [`Summary`] is what one run says, [`compare::Comparison`] what two say of each other,
//! [`claims::assess`] what several say of the sentences of a claims file. Rows come from `evidence`
//! with their keys; every comparison with dense goes through its one query.

pub mod accuracy;
pub mod advice;
pub mod atlas;
pub mod attention;
pub mod claims;
pub mod compare;
pub mod contrast;
mod counts;
pub mod dial;
pub mod extremes;
mod glance;
pub mod gradients;
pub mod layers;
pub mod measured;
pub mod notable;
pub mod perplexity;
pub mod quadrants;
pub mod recall;
pub mod recipes;
mod remark;
pub mod speed;
pub mod state;
mod summary;
mod table;
pub mod tasks;
pub mod unequal;

pub use counts::Counts;
pub use glance::Glance;
pub use remark::{Remark, Remarked};
pub use summary::{Summary, Warning};
pub use table::Table;
