//! Texts as a work order says that they are read.

use std::path::Path;

use corpora::{CorpusError, Reading, Shape, Text};
use plan::TextShape;

/// Reads a text file.
pub(crate) fn read(path: &Path, reading: plan::Reading) -> Result<Text, CorpusError> {
    let shape = reading.shape.map(|shape| match shape {
        TextShape::Rows => Shape::Rows,
        TextShape::Documents => Shape::Documents,
    });
    Text::read_as(path, Reading { shape, entries: reading.documents })
}
