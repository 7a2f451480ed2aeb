//! Markdown tables that are readable in a terminal too: every column padded to one width; links to
//! headings.

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
    let one_line: Vec<&str> = text.split_whitespace().collect();
    one_line.join(" ").replace('|', "\\|")
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
