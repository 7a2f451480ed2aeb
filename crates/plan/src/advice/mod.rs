//! What `cargo xtask advise` searches, what has to be kept, and what it asks of the tables.

mod exchange;
mod keep;
mod read;
mod space;

pub use exchange::{
    AdviceAnswer, AdviceCandidate, AdviceJudged, AdviceKeep, AdviceNumber, AdviceRequest,
    AdviceSize, AdviceStep, Smallest,
};
pub use keep::{Keep, KeepError};
pub use space::{AdviceSpace, Stage, Stretch, Units};
