//! Part × method in one table: what the best score of each kind costs in every quadrant of every model.

use judgement::quadrants::{Kind, Quadrants, of_each_model};
use plan::shortest_decimal;

use crate::document::Align::{Left, Right};
use crate::document::{Block, Field, Table};
use crate::format::{NOTHING, significant};

/// The table; nothing where no model has two quadrants.
pub(super) fn glance(tables: &[Quadrants]) -> Vec<Block> {
    let columns = [
        ("model", Left),
        ("text", Left),
        ("κ", Right),
        ("part, method", Left),
        ("by size", Right),
        ("by effect", Right),
        ("random", Right),
    ];
    let mut shown = Table::new(columns);
    for table in of_each_model(tables) {
        let Some(sparsity) = table.shared_sparsity() else { continue };
        for quadrant in table.quadrants() {
            let best = |kind: Kind| match table.best(quadrant, kind, sparsity) {
                Some((line, value)) => format!("{} ({})", significant(value.value, 4), line.score),
                None => NOTHING.to_owned(),
            };
            shown.push([
                Field::text(&table.model),
                Field::Text(format!("{} ({})", table.dataset, table.protocol)),
                Field::Number(shortest_decimal(sparsity)),
                Field::Text(quadrant.name()),
                Field::Number(best(Kind::Cheap)),
                Field::Number(best(Kind::OutputAware)),
                Field::Number(best(Kind::Control).replace(" (random)", "")),
            ]);
        }
    }
    if shown.n_rows() == 0 {
        return Vec::new();
    }
    let note = "Perplexity × dense by the best score of its kind: a size alone, the effect on the block's \
                output or on the loss, chance. A score that looks at no token makes the same cut whenever \
                it is asked.";
    let heading = Block::heading(2, "Part × method at a glance");
    vec![heading, Block::Table(shown), Block::paragraph(note)]
}
