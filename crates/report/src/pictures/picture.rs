//! What a picture is to a page.

use crate::document::{Line, Table};

/// A picture of a report, or why there is none.
pub(crate) struct Picture {
    /// The name of its files, less their endings.
    pub(crate) name: &'static str,
    pub(crate) content: Content,
}

pub(crate) enum Content {
    Drawn {
        /// Follows the reader's light or dark screen; its ids are its own among all pictures.
        svg: String,
        /// What stands in a page for those who do not see the picture.
        alternative: String,
        /// What it shows, sentence by sentence.
        caption: Line,
        /// Names and headings of the tables that hold its numbers among others.
        tables: Vec<String>,
        /// Exactly the numbers that are drawn.
        numbers: Table,
    },
    /// The tables hold nothing to draw.
    Nothing { reason: String },
}
