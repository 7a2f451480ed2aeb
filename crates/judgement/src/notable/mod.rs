//! What of a run matters most: candidates that each answer one question, rated by the smallest effect that
//! their intervals leave possible, and the rule by which a few of them stand first.

mod choose;
mod effect;
mod find;

pub use choose::{Candidate, Question, SHOWN, choose};
pub use effect::{Effect, Ratio};
pub use find::{Notable, notable};
