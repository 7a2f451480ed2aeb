//! What a reader has to know of a row: why something is not there, and what could have been missed.

/// One remark.
#[derive(Debug, Clone, PartialEq)]
pub enum Remark {
    /// The perplexity does not exist as a number; the error.
    NoPerplexity(String),
    /// The word perplexity does not; the error.
    NoWordPerplexity(String),
    /// One window has no interval.
    OneWindow,
    /// It was not compared with dense; the reason.
    Refused(String),
    /// Neither it nor dense gets an item right that the other does not.
    SameAnswers,
    /// The difference from dense is not significant. "Not significant" never stands alone: it says how
    /// large a difference would have been found; none where none would be.
    NotSignificant {
        /// A difference of accuracies.
        detectable: Option<f64>,
    },
}

/// What has remarks.
pub trait Remarked {
    /// In the order in which they are to be told.
    fn remarks(&self) -> &[Remark];
}
