//! What a line of a page is made of.

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Inline {
    /// Words; names from elsewhere may be among them, and nothing in them acts.
    Text(String),
    Code(String),
    Strong(String),
    Link {
        text: String,
        target: Target,
    },
    /// The end of a line within a paragraph.
    Break,
}

/// Where a link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// To the heading of this text on the same page.
    Heading(String),
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Line(Vec<Inline>);

impl Line {
    pub(crate) fn new() -> Line {
        Line::default()
    }

    pub(crate) fn pieces(&self) -> &[Inline] {
        &self.0
    }

    fn with(mut self, piece: Inline) -> Line {
        self.0.push(piece);
        self
    }

    pub(crate) fn text(self, text: impl Into<String>) -> Line {
        self.with(Inline::Text(text.into()))
    }

    pub(crate) fn code(self, text: impl Into<String>) -> Line {
        self.with(Inline::Code(text.into()))
    }

    pub(crate) fn strong(self, text: impl Into<String>) -> Line {
        self.with(Inline::Strong(text.into()))
    }

    /// A link to the heading of this text, which it bears itself.
    pub(crate) fn link(self, heading: impl Into<String>) -> Line {
        let text = heading.into();
        self.with(Inline::Link { text: text.clone(), target: Target::Heading(text) })
    }

    pub(crate) fn line_break(self) -> Line {
        self.with(Inline::Break)
    }
}

impl From<String> for Line {
    fn from(text: String) -> Line {
        Line::new().text(text)
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Line {
        Line::new().text(text)
    }
}

/// A text on one line, with single blanks between its words.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The anchor that viewers give a heading: in small letters, blanks as hyphens, without punctuation.
pub(crate) fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_keep_letters_digits_and_hyphens() {
        assert_eq!(anchor("Qwen2.5 · wikitext2 · ppl-101"), "qwen25--wikitext2--ppl-101");
    }
}
