//! Part × method in one table: what the best score of each kind costs in every quadrant of every model.

use judgement::quadrants::{Kind, Quadrants, of_each_model};
use plan::shortest_decimal;

use crate::format::{NOTHING, significant};
use crate::markdown::Align::{Left, Right};
use crate::markdown::{Table, plain};

/// The table; nothing where no model has two quadrants.
pub(crate) fn glance(tables: &[Quadrants]) -> String {
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
    let mut n_rows = 0;
    for table in of_each_model(tables) {
        let Some(sparsity) = table.shared_sparsity() else { continue };
        for quadrant in table.quadrants() {
            let best = |kind: Kind| match table.best(quadrant, kind, sparsity) {
                Some((line, value)) => format!("{} ({})", significant(value.value, 4), line.score),
                None => NOTHING.to_owned(),
            };
            shown.push([
                plain(&table.model),
                plain(&format!("{} ({})", table.dataset, table.protocol)),
                shortest_decimal(sparsity),
                quadrant.name(),
                best(Kind::Cheap),
                best(Kind::OutputAware),
                best(Kind::Control).replace(" (random)", ""),
            ]);
            n_rows += 1;
        }
    }
    if n_rows == 0 {
        return String::new();
    }
    format!(
        "\n## Part × method at a glance\n\n{}\nPerplexity × dense by the best score of its kind: a size \
         alone, the effect on the block's output or on the loss, chance. A score that looks at no token \
         makes the same cut whenever it is asked.\n",
        shown.render()
    )
}
