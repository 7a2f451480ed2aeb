//! Gradient against magnitude: a table a model and text.

use judgement::gradients::{Gradients, SCORES};
use judgement::quadrants::Value;
use plan::{Score, shortest_decimal};

use crate::document::Align::Right;
use crate::document::{Block, Field, Line, Table};
use crate::format::{NOTHING, significant};
use crate::headings::of_table;
use crate::sentences::{of_gradients, unequal_at};

/// All comparisons of a run; nothing where there are none.
pub(super) fn section(all: &[Gradients]) -> Vec<Block> {
    if all.is_empty() {
        return Vec::new();
    }
    let heading = Block::heading(2, "Gradient against magnitude at the static end");
    [heading].into_iter().chain(all.iter().flat_map(table)).collect()
}

fn table(gradients: &Gradients) -> Vec<Block> {
    let scores = SCORES.map(|score| (score.as_str(), Right));
    let mut table = Table::new([("κ", Right)].into_iter().chain(scores));
    for &sparsity in &gradients.sparsities {
        let value = |score: Score| match gradients.at(score, sparsity) {
            Some(Value { value, lower: Some(lower), upper: Some(upper), .. }) => {
                let [value, lower, upper] = [value, lower, upper].map(|n| significant(*n, 4));
                format!("{value} [{lower}, {upper}]")
            }
            Some(value) => significant(value.value, 4),
            None => NOTHING.to_owned(),
        };
        let fields = [shortest_decimal(sparsity)].into_iter().chain(SCORES.map(value));
        table.push(fields.map(Field::Number));
    }
    let Gradients { model, dataset, protocol, unequal, .. } = gradients;
    let about = of_table((model, dataset, *protocol));
    let heading = Block::heading(3, format!("{about}: static ffn, perplexity × dense"));
    let flags = unequal.iter().map(|own| Line::new().strong(format!("At {}.", unequal_at(own))));
    let notes = flags.chain(of_gradients(gradients).map(Line::from)).map(Block::Paragraph);
    [heading, Block::Table(table)].into_iter().chain(notes).collect()
}
