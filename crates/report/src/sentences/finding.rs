//! One sentence of a report.

use serde::Serialize;

/// A sentence that was made from numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The model that it is about; none of the whole run.
    pub(crate) model: Option<String>,
    pub(crate) text: String,
}

/// A sentence about a model.
pub(super) type OfModel = (String, String);
