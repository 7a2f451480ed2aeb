//! What is told in words: sentences made of judged values, notes of rows and claims, warnings.

mod atlas;
mod claims;
pub(crate) mod comparison;
mod dial;
mod finding;
mod gradients;
mod numbers;
mod opening;
mod quadrants;
mod rows;
mod run;
mod state;
mod tables;
mod tasks;
mod unequal;

pub(crate) use atlas::{AtlasSentences, of_each_model as of_atlas};
pub(crate) use claims::{finding as of_claims, note as note_of_check};
pub(crate) use finding::Finding;
pub(crate) use gradients::sentence as of_gradients;
pub(crate) use numbers::with_limits;
pub(crate) use opening::all;
pub(crate) use rows::notes;
pub(crate) use run::{cells, warning};
pub(crate) use tasks::{at_chance, verdict as task_verdict};
pub(crate) use unequal::{at as unequal_at, flag as unequal};
