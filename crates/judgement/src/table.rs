//! One table: all cells of one model on one text by one protocol.

use evidence::{Query, Row, Subject};
use plan::Protocol;
use serde::Serialize;

/// All cells of one model, dataset and protocol; `M` is what the protocol measures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table<M> {
    /// The model.
    pub model: String,
    /// The text.
    pub dataset: String,
    /// How the text was asked.
    pub protocol: Protocol,
    /// By key.
    pub rows: Vec<Row<M>>,
}

impl<M: evidence::Paired> Table<M> {
    /// What it is about.
    pub fn subject(&self) -> Subject<'_> {
        (&self.model, &self.dataset, self.protocol)
    }

    /// The rows that were compared with the newest dense one.
    pub fn query(&self) -> Query<'_, M> {
        Query::of(&self.rows)
    }
}
