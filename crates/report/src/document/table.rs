//! A table with typed fields.

/// On which side of its column a field stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// What stands in one place of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    /// Words, in which names from elsewhere may stand.
    Text(String),
    /// What this program wrote of numbers: signs, brackets, units.
    Number(String),
    Code(String),
    /// A cell, by its id.
    Cell(String),
    /// The cells that a number is made of.
    Cells(Vec<String>),
    /// A file beside the page.
    File(String),
}

impl Field {
    pub(crate) fn empty() -> Field {
        Field::Number(String::new())
    }

    pub(crate) fn text(text: impl Into<String>) -> Field {
        Field::Text(text.into())
    }

    pub(crate) fn number(text: impl Into<String>) -> Field {
        Field::Number(text.into())
    }

    pub(crate) fn cell(id: &str) -> Field {
        Field::Cell(id.to_owned())
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Field::Text(text) | Field::Number(text) => text.trim().is_empty(),
            Field::Cells(cells) => cells.is_empty(),
            Field::Code(_) | Field::Cell(_) | Field::File(_) => false,
        }
    }
}

/// A table; every row has as many fields as there are columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<Field>>,
    /// Whether its rows are where mentions of their cells lead to.
    is_home: bool,
}

impl Table {
    pub(crate) fn new<'a>(columns: impl IntoIterator<Item = (&'a str, Align)>) -> Self {
        let columns = columns.into_iter().map(|(name, align)| (name.to_owned(), align)).collect();
        Self { columns, rows: Vec::new(), is_home: false }
    }

    /// The same table, to whose rows mentions of their cells lead.
    pub(crate) fn home(self) -> Self {
        Self { is_home: true, ..self }
    }

    pub(crate) fn is_home(&self) -> bool {
        self.is_home
    }

    /// Adds a row; missing fields are empty, surplus ones are not shown.
    pub(crate) fn push(&mut self, fields: impl IntoIterator<Item = Field>) {
        let mut row: Vec<Field> = fields.into_iter().collect();
        row.resize(self.columns.len(), Field::empty());
        self.rows.push(row);
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.rows.len()
    }

    /// The same table with its first rows alone.
    pub(crate) fn first(&self, n_rows: usize) -> Self {
        let rows = self.rows.iter().take(n_rows).cloned().collect();
        Self { columns: self.columns.clone(), rows, is_home: self.is_home }
    }

    /// The names of all columns, shown or not.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// The columns in which some field is not empty: position, name and side.
    pub(crate) fn shown(&self) -> Vec<(usize, &str, Align)> {
        let all = self.columns.iter().enumerate();
        let is_shown = |column: &usize| self.rows.iter().any(|row| !row[*column].is_empty());
        let shown = all.filter(|(column, _)| is_shown(column));
        shown.map(|(column, (name, align))| (column, name.as_str(), *align)).collect()
    }

    /// The rows with all their fields, shown or not.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[Field]> {
        self.rows.iter().map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_in_which_every_field_is_empty_are_not_shown() {
        let columns = [("κ", Align::Left), ("n", Align::Right), ("note", Align::Left)];
        let mut table = Table::new(columns);
        table.push([Field::number("0.95"), Field::number("7"), Field::text(" ")]);
        table.push([Field::text("a"), Field::Cells(Vec::new())]);
        assert_eq!(table.shown(), [(0, "κ", Align::Left), (1, "n", Align::Right)]);
        assert_eq!(table.rows().last().map(<[Field]>::len), Some(3));
    }
}
