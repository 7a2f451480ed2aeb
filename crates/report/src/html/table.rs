//! One table of a page, row by row.

use maud::html;
use pulldown_cmark::{Alignment, CowStr, Event, html::push_html};

/// Tables of more rows are folded, so that a page opens at once however much it holds.
const ROWS_TO_FOLD: usize = 200;
/// Tables of more rows scroll inside their own box, below their header.
const ROWS_TO_SCROLL: usize = 20;
/// Tables of more columns need smaller letters on paper.
const COLUMNS_TO_SHRINK: usize = 16;
/// Texts of more characters are broken into lines.
const WIDE: usize = 44;

/// A table that is being written.
pub(super) struct Table<'a> {
    alignments: Vec<Alignment>,
    is_head: bool,
    columns: Vec<String>,
    column: usize,
    cell: Vec<Event<'a>>,
    head: String,
    rows: String,
    n_rows: usize,
}

impl<'a> Table<'a> {
    pub(super) fn new(alignments: Vec<Alignment>) -> Self {
        Table {
            alignments,
            is_head: false,
            columns: Vec::new(),
            column: 0,
            cell: Vec::new(),
            head: String::new(),
            rows: String::new(),
            n_rows: 0,
        }
    }

    pub(super) fn begin_row(&mut self, is_head: bool) {
        self.is_head = is_head;
        self.column = 0;
        self.line().push_str("<tr>");
    }

    pub(super) fn end_row(&mut self) {
        self.line().push_str("</tr>\n");
        self.n_rows += usize::from(!self.is_head);
    }

    /// Adds a piece of the current field.
    pub(super) fn push(&mut self, event: Event<'a>) {
        self.cell.push(event);
    }

    /// The last column of the header if the current field stands in it.
    pub(super) fn last_column(&self) -> Option<&str> {
        let is_last = !self.is_head && self.column + 1 == self.columns.len();
        self.columns.last().filter(|_| is_last).map(String::as_str)
    }

    pub(super) fn end_field(&mut self) {
        let cell = std::mem::take(&mut self.cell);
        let words = cell.iter().filter_map(|event| match event {
            Event::Text(text) | Event::Code(text) => Some(&**text),
            _ => None,
        });
        let text: String = words.collect();
        let is_right = self.alignments.get(self.column) == Some(&Alignment::Right);
        let class = match (is_right, text.chars().count() > WIDE && !self.is_head) {
            (true, _) => " class=\"r\"",
            (false, true) => " class=\"w\"",
            (false, false) => "",
        };
        // A table whose first column has no name is a matrix: it names the rows.
        let names_row =
            !self.is_head && self.column == 0 && self.columns.first().is_some_and(String::is_empty);
        let (tag, scope) = match (self.is_head && !text.is_empty(), names_row) {
            (true, _) => ("th", " scope=\"col\""),
            (false, true) => ("th", " scope=\"row\""),
            (false, false) => ("td", ""),
        };
        let line = self.line();
        line.push('<');
        line.push_str(tag);
        line.push_str(scope);
        line.push_str(class);
        line.push('>');
        push_html(line, cell.into_iter());
        line.push_str("</");
        line.push_str(tag);
        line.push('>');
        if self.is_head {
            self.columns.push(text);
        }
        self.column += 1;
    }

    fn line(&mut self) -> &mut String {
        if self.is_head { &mut self.head } else { &mut self.rows }
    }

    /// Whether the table fills a good part of a printed page.
    pub(super) fn is_big(&self) -> bool {
        self.n_rows > ROWS_TO_SCROLL
    }

    /// The table in a box of its own, which `name` names.
    pub(super) fn finish(self, name: &str) -> Event<'a> {
        let (is_long, is_wide) = (self.is_big(), self.columns.len() > COLUMNS_TO_SHRINK);
        let table = html! {
            // Whoever has no pointer scrolls the box with the arrow keys, so it takes the focus.
            div.table.long[is_long].wide[is_wide] role="group" tabindex="0" aria-label=(name) {
                table {
                    thead { (maud::PreEscaped(&self.head)) }
                    tbody { (maud::PreEscaped(&self.rows)) }
                }
            }
        };
        let text = match self.n_rows > ROWS_TO_FOLD {
            false => table.into_string(),
            true => html! {
                details.fold {
                    summary { (self.n_rows) " rows" }
                    (table)
                }
            }
            .into_string(),
        };
        Event::Html(CowStr::from(text + "\n"))
    }
}
