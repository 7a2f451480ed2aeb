//! Tables as HTML.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::cells::Cells;
use crate::document::{Align, Field, Table, one_line};
use crate::format::short;

/// Tables of more rows are folded, so that a page opens at once however much it holds.
const ROWS_TO_FOLD: usize = 200;
/// Tables of more rows scroll inside their own box, below their header.
const ROWS_TO_SCROLL: usize = 20;
/// Tables of more columns need smaller letters on paper.
const COLUMNS_TO_SHRINK: usize = 16;
/// Texts of more characters are broken into lines.
const WIDE: usize = 44;

/// Whether a table fills a good part of a printed page.
pub(super) fn is_big(table: &Table) -> bool {
    table.n_rows() > ROWS_TO_SCROLL
}

/// The table in a box of its own, which `name` names; cells whose row is here are added to `placed`.
pub(super) fn table(
    own: &Table,
    name: &str,
    cells: &Cells,
    placed: &mut BTreeSet<String>,
) -> Markup {
    let shown = own.shown();
    let is_wide = shown.len() > COLUMNS_TO_SHRINK;
    // A table whose first column has no name is a matrix: it names the rows.
    let names_rows = shown.first().is_some_and(|(_, name, _)| name.is_empty());
    let mut rows = String::new();
    for row in own.rows() {
        rows += "<tr>";
        for (position, (column, _, align)) in shown.iter().enumerate() {
            let field = &row[*column];
            let class = class(*align, width(field, cells));
            let content = self::field(field, own.is_home(), cells, placed);
            let markup = match names_rows && position == 0 {
                true => html! { th scope="row" class=[class] { (content) } },
                false => html! { td class=[class] { (content) } },
            };
            rows += &markup.into_string();
        }
        rows += "</tr>\n";
    }
    let table = html! {
        // Whoever has no pointer scrolls the box with the arrow keys, so it takes the focus.
        div.table.long[is_big(own)].wide[is_wide] role="group" tabindex="0" aria-label=(name) {
            table {
                thead { tr { @for (_, name, align) in &shown { (head(name, *align)) } } "\n" }
                tbody { (maud::PreEscaped(rows)) }
            }
        }
    };
    match own.n_rows() > ROWS_TO_FOLD {
        false => table,
        true => html! { details.fold { summary { (own.n_rows()) " rows" } (table) } },
    }
}

fn head(name: &str, align: Align) -> Markup {
    let class = class(align, 0);
    match name.is_empty() {
        true => html! { td class=[class] {} },
        false => html! { th scope="col" class=[class] { (name) } },
    }
}

fn class(align: Align, width: usize) -> Option<&'static str> {
    match align {
        Align::Right => Some("r"),
        Align::Left if width > WIDE => Some("w"),
        Align::Left => None,
    }
}

/// Characters of a field that have to be seen together; links to rows may stand on as many lines as they
/// like.
fn width(field: &Field, cells: &Cells) -> usize {
    let unlinked = |id: &str| if cells.has(id) { 0 } else { short(id).chars().count() };
    match field {
        Field::Text(text) | Field::Number(text) | Field::Code(text) | Field::File(text) => {
            one_line(text).chars().count()
        }
        Field::Cell(id) => unlinked(id),
        Field::Cells(ids) => {
            let blanks = ids.len().saturating_sub(1);
            ids.iter().map(|id| unlinked(id)).sum::<usize>() + blanks
        }
    }
}

fn field(field: &Field, is_home: bool, cells: &Cells, placed: &mut BTreeSet<String>) -> Markup {
    match field {
        Field::Text(text) | Field::Number(text) => html! { (one_line(text)) },
        Field::Code(text) => html! { code { (one_line(text)) } },
        Field::Cell(id) => {
            let is_place = is_home && cells.has(id) && placed.insert(short(id).to_owned());
            cells.mention(id, is_place)
        }
        Field::Cells(ids) => html! {
            @for (position, id) in ids.iter().enumerate() {
                @if position > 0 { " " }
                (cells.mention(id, false))
            }
        },
        Field::File(file) => html! { a href=(file) { (file) } },
    }
}
