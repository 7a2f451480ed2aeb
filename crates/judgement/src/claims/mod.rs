//! Claims: each sentence of a claims file, judged on the tables of one run or of several.
//!
//! Every model that a claim names gets a verdict of its own. The whole 95 % interval must lie on one
//! side of the claim's threshold, and the test against that threshold must be significant after Holm's
//! adjustment over all tests of the file (a share is counted and has neither); what was not run, was
//! refused or failed is not measured, which is never a pass.

mod accuracy;
mod assess;
mod correlation;
mod detectable;
mod dial;
mod file;
mod finding;
mod judge;
mod layers;
mod perplexity;
mod share;
mod verdict;

pub use assess::assess;
pub use file::ClaimsFile;
pub use verdict::{Assessment, Check, Distance, Judged, Measurement, Note, Reason, Shape, Verdict};
