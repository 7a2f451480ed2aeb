//! Recall by distance: a table a model and text.

use judgement::recall::Recall;

use crate::document::Align::{Left, Right};
use crate::document::{Block, Field, Table};
use crate::format::{bin_name, percent};
use crate::headings::of_recall;

/// The tables of a run; nothing where no item has a distance.
pub(super) fn section(all: &[Recall]) -> Vec<Block> {
    if all.is_empty() {
        return Vec::new();
    }
    let heading = Block::heading(2, "Recall by distance");
    [heading].into_iter().chain(all.iter().flat_map(table)).collect()
}

fn table(recall: &Recall) -> [Block; 3] {
    let bins = recall.bins();
    let names: Vec<String> = bins.iter().map(|&bin| bin_name(bin)).collect();
    let columns = names.iter().map(|name| (name.as_str(), Right));
    let mut table =
        Table::new([("what was done", Left), ("cell", Left)].into_iter().chain(columns));
    for line in &recall.lines {
        let first = [Field::Text(line.name()), Field::cell(&line.cell_id)];
        let values = bins.iter().map(|&bin| match line.pooled(bin) {
            Some(bin) => Field::Number(format!(
                "{}/{} = {} [{}, {}]",
                bin.n_correct,
                bin.n_items,
                percent(bin.accuracy),
                percent(bin.lower),
                percent(bin.upper)
            )),
            None => Field::empty(),
        });
        table.push(first.into_iter().chain(values));
    }
    let note = "Columns: sentences between the answer and the question. Brackets: 95 % (Wilson).";
    [Block::heading(3, of_recall(recall)), Block::Table(table), Block::paragraph(note)]
}
