//! The quadrants as Markdown.

use judgement::quadrants::{Quadrants, Rating, Value};
use plan::shortest_decimal;

use crate::document::Align::{Left, Right};
use crate::document::{Block, Field, Line, Table};
use crate::format::{NOTHING, count, percent, significant};
use crate::headings::of_quadrants;
use crate::sentences::unequal_at;
use crate::units::all_units;

/// All quadrants of a run; nothing where there are none.
pub(super) fn section(tables: &[Quadrants]) -> Vec<Block> {
    if tables.is_empty() {
        return Vec::new();
    }
    let about = "Cheap scores look at a size alone; output-aware ones at what dropping changes in the \
                 block's output or in the loss; controls at nothing.";
    let opening = [Block::heading(2, "Part × method"), Block::paragraph(about)];
    opening.into_iter().chain(tables.iter().flat_map(table)).collect()
}

fn table(table: &Quadrants) -> Vec<Block> {
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
            Field::Text(line.quadrant.name()),
            Field::Text(line.score_name()),
            Field::text(line.kind.as_str()),
            Field::Text(recalibration),
        ];
        let values = table.sparsities.iter().map(|&sparsity| match line.at(sparsity) {
            Some(value) => Field::Number(shown(table.measure, value)),
            None => Field::number(NOTHING),
        });
        text.push(first.into_iter().chain(values));
    }
    let opening = [Block::heading(3, of_quadrants(table)), Block::Table(text)];
    opening.into_iter().chain(notes(table).into_iter().map(Block::Paragraph)).collect()
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

fn notes(table: &Quadrants) -> Vec<Line> {
    let mut notes = Vec::new();
    for (part, touches) in &table.parts {
        let what = all_units(*part);
        let part = format!(
            "{what} are {} of the model's parameters, {} of a token's operations and {} of the bytes \
             of its recurrent state.",
            percent(touches.parameters),
            percent(touches.flops),
            percent(touches.state_bytes)
        );
        notes.push(Line::from(part));
    }
    notes.extend(
        table.unequal.iter().map(|own| Line::new().strong(format!("At {}.", unequal_at(own)))),
    );
    if table.n_ambiguous > 0 {
        let places = count(table.n_ambiguous, "place");
        let several = format!("{places} could be filled by several cells: each shows the newest.");
        notes.push(Line::from(several));
    }
    notes
}
