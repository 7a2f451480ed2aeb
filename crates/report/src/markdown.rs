//! Markdown tables that are readable in a terminal too: every column padded to one width; links to
//! headings; text from elsewhere, which must not act as Markdown.

/// On which side of its column a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table; every row has as many fields as there are columns.
pub(crate) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<'a>(columns: impl IntoIterator<Item = (&'a str, Align)>) -> Self {
        let columns = columns.into_iter().map(|(name, align)| (escape(name), align)).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row; missing fields are empty, surplus ones are not shown.
    pub(crate) fn push(&mut self, fields: impl IntoIterator<Item = String>) {
        let mut row: Vec<String> = fields.into_iter().map(|field| escape(&field)).collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// The table as Markdown, without the columns in which every field is empty.
    pub(crate) fn render(&self) -> String {
        let shown: Vec<usize> = (0..self.columns.len())
            .filter(|&column| self.rows.iter().any(|row| !row[column].is_empty()))
            .collect();
        let width = |column: usize| {
            let fields = self.rows.iter().map(|row| row[column].chars().count());
            fields.chain([self.columns[column].0.chars().count(), 3]).max().unwrap_or(3)
        };
        let widths: Vec<usize> = shown.iter().map(|&column| width(column)).collect();
        let line = |field: &dyn Fn(usize, usize) -> String| {
            let fields: Vec<String> =
                shown.iter().zip(&widths).map(|(&column, &width)| field(column, width)).collect();
            format!("| {} |\n", fields.join(" | "))
        };
        let padded = |text: &str, column: usize, width: usize| match self.columns[column].1 {
            Align::Left => format!("{text:<width$}"),
            Align::Right => format!("{text:>width$}"),
        };
        let mut text = line(&|column, width| padded(&self.columns[column].0, column, width));
        text += &line(&|column, width| match self.columns[column].1 {
            Align::Left => "-".repeat(width),
            Align::Right => format!("{}:", "-".repeat(width - 1)),
        });
        for row in &self.rows {
            text += &line(&|column, width| padded(&row[column], column, width));
        }
        text
    }
}

/// One line of text that cannot break out of a table.
fn escape(text: &str) -> String {
    one_line(text).replace('|', "\\|")
}

/// `text` from elsewhere (a label, an error, a file's name) on one line, so that all its characters
/// are seen: none begins code, HTML, an entity, emphasis or a link.
pub(crate) fn plain(text: &str) -> String {
    escaped(text, |before, character, after| match character {
        '\\' | '`' | '*' | '~' => true,
        '_' => !(is_word(before) && is_word(after)),
        _ => is_markup(before, character, after),
    })
}

/// A sentence of the report's own, in which names from elsewhere may stand: code stays code, but
/// nothing begins HTML, an entity or a link.
pub(crate) fn sentence(text: &str) -> String {
    escaped(text, is_markup)
}

/// `text` as inline code, whatever it holds.
pub(crate) fn code(text: &str) -> String {
    let text = one_line(text);
    let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    match longest {
        0 => format!("`{text}`"),
        longest => {
            let fence = "`".repeat(longest + 1);
            format!("{fence} {text} {fence}")
        }
    }
}

/// Whether a character begins HTML, an entity or a link's target.
fn is_markup(before: Option<char>, character: char, after: Option<char>) -> bool {
    match character {
        '<' => true,
        '&' => after.is_some_and(|after| after == '#' || after.is_alphabetic()),
        '(' => before == Some(']'),
        _ => false,
    }
}

fn is_word(character: Option<char>) -> bool {
    character.is_some_and(char::is_alphanumeric)
}

/// One line with a backslash before every character that `is_special` says, by its neighbours.
fn escaped(text: &str, is_special: impl Fn(Option<char>, char, Option<char>) -> bool) -> String {
    let line = one_line(text);
    let mut result = String::with_capacity(line.len());
    let (mut before, mut rest) = (None, line.chars().peekable());
    while let Some(character) = rest.next() {
        if is_special(before, character, rest.peek().copied()) {
            result.push('\\');
        }
        result.push(character);
        before = Some(character);
    }
    result
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The anchor that Markdown viewers give a heading: in small letters, blanks as hyphens, without
/// punctuation.
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

    #[test]
    fn text_from_elsewhere_does_not_act() {
        for (text, shown) in [
            ("a_b at layer 3: x < y & z [1, 2]", "a_b at layer 3: x \\< y & z [1, 2]"),
            ("<script>\n`x`", "\\<script> \\`x\\`"),
            ("&amp; &#60; *b* _i_", "\\&amp; \\&#60; \\*b\\* \\_i\\_"),
            ("[x](javascript:y) \\", "[x]\\(javascript:y) \\\\"),
        ] {
            assert_eq!(plain(text), shown);
        }
        assert_eq!(sentence("`W=1` of <b>"), "`W=1` of \\<b>");
    }

    #[test]
    fn code_is_fenced_by_more_backticks_than_it_holds() {
        assert_eq!(code("0a1b"), "`0a1b`");
        assert_eq!(code("a `` b"), "``` a `` b ```");
    }

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        let mut table =
            Table::new([("κ", Align::Left), ("n", Align::Right), ("note", Align::Left)]);
        table.push(["0.95".to_owned(), "7".to_owned()]);
        table.push(["a|b\nc".to_owned(), "10000".to_owned()]);
        let lines = [
            "| κ      |     n |",
            "| ------ | ----: |",
            "| 0.95   |     7 |",
            "| a\\|b c | 10000 |",
        ];
        assert_eq!(table.render(), lines.join("\n") + "\n");
    }
}
