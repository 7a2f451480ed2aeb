//! The importance atlas: does size predict importance, would two scores keep the same neurons, is a
//! score the same on another text, and how long do neurons and channels stay important?
//!
//! Made of what `observe` cells measured; every mean over sites has an interval over sites.

mod agreement;
mod correlations;
mod entry;
mod overlap;
mod persistence;
mod proxy_gap;
mod similarity;
mod stability;
mod whole;

pub use agreement::SPARSITIES;
pub use entry::Entry;
pub use overlap::{Lag, Overlap};
pub use persistence::{Bin, Persistence};
pub use proxy_gap::ProxyGap;
pub use similarity::{AtSite, BOOTSTRAP, Depth, Mean, Measure, Similarity};
pub use stability::Stability;
pub use whole::Atlas;
