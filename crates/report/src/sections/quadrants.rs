//! The quadrants as Markdown.

use judgement::quadrants::{Quadrants, Rating, Value};
use plan::{Part, shortest_decimal};

use super::headings::of_quadrants;
use crate::format::{NOTHING, count, percent, significant};
use crate::markdown::Align::{Left, Right};
use crate::markdown::Table;
use crate::sentences::unequal_at;

/// All quadrants of a run; nothing where there are none.
pub(crate) fn section(tables: &[Quadrants]) -> String {
    if tables.is_empty() {
        return String::new();
    }
    let tables: String = tables.iter().map(table).collect();
    format!(
        "\n## Part × method\n\nCheap scores look at a size alone; output-aware ones at what dropping \
         changes in the block's output or in the loss; controls at nothing.\n{tables}"
    )
}

fn table(table: &Quadrants) -> String {
    let columns: Vec<String> = table
        .sparsities
        .iter()
        .map(|&sparsity| format!("κ={}", shortest_decimal(sparsity)))
        .collect();
    let first = [("quadrant", Left), ("score", Left), ("kind", Left), ("recalibration", Left)];
    let columns = columns.iter().map(|column| (column.as_str(), Right));
    let mut text = Table::new(first.into_iter().chain(columns));
    for line in &table.lines {
        let recalibration = line.recalibration.map(|how| how.to_string()).unwrap_or_default();
        let first = [
            line.quadrant.name(),
            line.score.to_string(),
            line.kind.as_str().to_owned(),
            recalibration,
        ];
        let values = table.sparsities.iter().map(|&sparsity| match line.at(sparsity) {
            Some(value) => shown(table.measure, value),
            None => NOTHING.to_owned(),
        });
        text.push(first.into_iter().chain(values));
    }
    format!("\n### {}\n\n{}\n{}", of_quadrants(table), text.render(), notes(table).join("\n"))
}

fn shown(measure: Rating, value: &Value) -> String {
    let number = |number: f64| match measure {
        Rating::PerplexityRatio => significant(number, 4),
        Rating::Accuracy => percent(number),
    };
    match value.lower.zip(value.upper) {
        Some((lower, upper)) => {
            format!("{} [{}, {}]", number(value.value), number(lower), number(upper))
        }
        None => number(value.value),
    }
}

fn notes(table: &Quadrants) -> Vec<String> {
    let mut notes = Vec::new();
    for (part, touches) in &table.parts {
        let what = match part {
            Part::Ffn => "The feed-forward neurons (ffn)",
            Part::State => "The state channels (state)",
        };
        notes.push(format!(
            "{what} are {} of the model's parameters, {} of a token's operations and {} of the bytes \
             of its recurrent state.\n",
            percent(touches.parameters),
            percent(touches.flops),
            percent(touches.state_bytes)
        ));
    }
    notes.extend(table.unequal.iter().map(|own| format!("**At {}.**\n", unequal_at(own))));
    if table.n_ambiguous > 0 {
        let places = count(table.n_ambiguous, "place");
        notes.push(format!("{places} could be filled by several cells: each shows the newest.\n"));
    }
    notes
}
