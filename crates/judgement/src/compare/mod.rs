//! What changed from one run to another: the cells that both measured, each set beside itself, and
//! those that only one has.
//!
//! Cells are matched by what they measure and not by their ids, which hold the version of the code and
//! the hashes of the inputs. The second run, B, is read against the first, A: a ratio is B / A, a
//! difference B − A.

mod change;
mod comparison;
mod matched;
mod origins;
mod scores;

pub use change::{AccuracyChange, Change, Compared, PerplexityChange, ROUNDING, Sameness, Test};
pub use comparison::{ALPHA, Comparison, Significance};
pub use matched::{Matched, Outcome};
pub use origins::{Origin, OtherInput, Speed};
pub use scores::ScoresChange;
