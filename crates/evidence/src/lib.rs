//! What the tables of runs hold, as evidence: rows with their keys, paired with what they are compared
//! with, and the one query by which they are looked up.
//!
//! Reads every table of a run ([`Run::load`]), sorts its cells into tables ([`groups`]), gives each row
//! its place there ([`Key`], the only reading of a cell's treatment), pairs it with its dense cell
//! ([`dense_of`]) and finds rows by place ([`Query`], [`place::Model`]). Claims look cells up by treatment
//! over several runs ([`Archive`]); two runs are matched by what their cells measure ([`pairing`]); what
//! was observed of one text is joined neuron by neuron ([`joined`]).
//!
//! Nothing here judges and nothing draws. A file that cannot be read, a cell that failed and one that is
//! missing are part of the evidence, never its end.

pub mod absent;
mod archive;
mod baseline;
mod choice_rows;
mod group;
pub mod joined;
mod key;
mod observed;
mod origins;
pub mod pairing;
pub mod place;
mod quantity;
mod query;
mod row;
mod run;
mod speed;
mod sweeps;
mod table_file;
pub mod text;

pub use archive::{Absence, Archive, Match};
pub use baseline::{
    AgainstDense, closest, dense_of, differences, other, other_inputs, other_units,
};
pub use group::{Distinction, Group, groups};
pub use key::{Key, Subject, subject};
pub use observed::{Measured, Observed};
pub use origins::{Counted, Origins, counted};
pub use quantity::Quantity;
pub use query::{Newest, Paired, Query, Wanted, newest, newest_dense};
pub use row::{Row, Shares, Touches};
pub use run::{Run, Unreadable, find_runs};
pub use speed::{Spread, TimedRow};
pub use sweeps::{Sweep, Sweeps, Trained};
pub use table_file::{CellResult, Failure, Rows};
