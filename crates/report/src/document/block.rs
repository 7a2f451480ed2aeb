//! What a page is made of, from top to bottom.

use super::inline::Line;
use super::table::Table;

/// A block of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Block {
    Heading {
        /// 1 for the title.
        level: u8,
        text: String,
        /// Whether what follows is worth a section of its own, on paper too.
        begins_section: bool,
    },
    Paragraph(Line),
    /// What a reader has to know before anything else.
    Warning(String),
    /// The sentences that open a page.
    Findings(Vec<String>),
    List(Vec<Line>),
    Table(Table),
    Figure(Figure),
    /// What stands behind a click.
    Fold {
        summary: String,
        blocks: Vec<Block>,
    },
}

/// A picture with its caption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Figure {
    /// The file beside the page.
    pub(crate) file: String,
    /// What it holds.
    pub(crate) svg: String,
    /// What stands for it where it is not seen.
    pub(crate) alternative: String,
    pub(crate) caption: Line,
}

impl Block {
    /// A heading; titles and the headings below them begin a section.
    pub(crate) fn heading(level: u8, text: impl Into<String>) -> Block {
        Block::Heading { level, text: text.into(), begins_section: level <= 2 }
    }

    /// A deeper heading that begins a section all the same.
    pub(crate) fn section(level: u8, text: impl Into<String>) -> Block {
        Block::Heading { level, text: text.into(), begins_section: true }
    }

    pub(crate) fn paragraph(line: impl Into<Line>) -> Block {
        Block::Paragraph(line.into())
    }

    pub(crate) fn list(items: impl IntoIterator<Item = impl Into<Line>>) -> Block {
        Block::List(items.into_iter().map(Into::into).collect())
    }
}
