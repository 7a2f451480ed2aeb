//! Recall by distance: a table a model and text.

use judgement::recall::Recall;

use crate::format::{bin_name, percent, short};
use crate::markdown::Align;
use crate::markdown::Table;
use crate::sections::headings::of_recall;

/// The tables of a run; nothing where no item has a distance.
pub(crate) fn section(all: &[Recall]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let tables: String = all.iter().map(table).collect();
    format!("\n## Recall by distance\n{tables}")
}

fn table(recall: &Recall) -> String {
    let bins = recall.bins();
    let names: Vec<String> = bins.iter().map(|&bin| bin_name(bin)).collect();
    let columns = names.iter().map(|name| (name.as_str(), Align::Right));
    let first = [("what was done", Align::Left), ("cell", Align::Left)];
    let mut text = Table::new(first.into_iter().chain(columns));
    for line in &recall.lines {
        let first = [line.name(), format!("`{}`", short(&line.cell_id))];
        let values = bins.iter().map(|&bin| match line.pooled(bin) {
            Some(bin) => format!(
                "{}/{} = {} [{}, {}]",
                bin.n_correct,
                bin.n_items,
                percent(bin.accuracy),
                percent(bin.lower),
                percent(bin.upper)
            ),
            None => String::new(),
        });
        text.push(first.into_iter().chain(values));
    }
    format!(
        "\n### {}\n\n{}\nColumns: sentences between the answer and the question. Brackets: 95 % \
         (Wilson).\n",
        of_recall(recall),
        text.render()
    )
}
