//! What failed, is missing or cannot be read.

use judgement::Summary;

use crate::document::Align::Left;
use crate::document::{Block, Field, Table};
use crate::format::utc;

/// A table of each that there is.
pub(super) fn sections(summary: &Summary) -> Vec<Block> {
    let tables = [
        ("Failed", failed(summary)),
        ("Missing", missing(summary)),
        ("Unreadable", unreadable(summary)),
    ];
    let tables = tables.into_iter().filter(|(_, table)| table.n_rows() > 0);
    tables.flat_map(|(name, table)| [Block::heading(2, name), Block::Table(table)]).collect()
}

fn failed(summary: &Summary) -> Table {
    let columns = [("cell", Left), ("id", Left), ("error", Left), ("host", Left), ("when", Left)];
    let mut table = Table::new(columns);
    for failure in &summary.failed {
        table.push([
            Field::text(&failure.label),
            Field::cell(&failure.cell_id),
            Field::text(&failure.error),
            Field::text(&failure.host),
            Field::Number(utc(failure.started_at_ms)),
        ]);
    }
    table
}

fn missing(summary: &Summary) -> Table {
    let mut table = Table::new([("cell", Left), ("id", Left), ("why", Left)]);
    for own in &summary.missing {
        table.push([Field::text(&own.label), Field::cell(&own.cell_id), Field::text(&own.reason)]);
    }
    table
}

fn unreadable(summary: &Summary) -> Table {
    let mut table = Table::new([("file", Left), ("why", Left)]);
    for own in &summary.unreadable {
        table.push([Field::Code(own.file.clone()), Field::text(&own.reason)]);
    }
    table
}
