//! Gradient against magnitude: a table a model and text.

use judgement::gradients::{Gradients, SCORES};
use judgement::quadrants::Value;
use plan::{Score, shortest_decimal};

use crate::format::{NOTHING, significant};
use crate::markdown::Align::Right;
use crate::markdown::Table;
use crate::sentences::{of_gradients, unequal_at};

/// All comparisons of a run; nothing where there are none.
pub(crate) fn section(all: &[Gradients]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let tables: String = all.iter().map(table).collect();
    format!("\n## Gradient against magnitude at the static end\n{tables}")
}

fn table(gradients: &Gradients) -> String {
    let scores = SCORES.map(|score| (score.as_str(), Right));
    let mut text = Table::new([("κ", Right)].into_iter().chain(scores));
    for &sparsity in &gradients.sparsities {
        let value = |score: Score| match gradients.at(score, sparsity) {
            Some(Value { value, lower: Some(lower), upper: Some(upper), .. }) => {
                let [value, lower, upper] = [value, lower, upper].map(|n| significant(*n, 4));
                format!("{value} [{lower}, {upper}]")
            }
            Some(value) => significant(value.value, 4),
            None => NOTHING.to_owned(),
        };
        text.push([shortest_decimal(sparsity)].into_iter().chain(SCORES.map(value)));
    }
    let Gradients { model, dataset, protocol, unequal, .. } = gradients;
    let flags: String =
        unequal.iter().map(|own| format!("\n**At {}.**\n", unequal_at(own))).collect();
    let heading = format!("### {model} · {dataset} · {protocol}: static ffn, perplexity × dense");
    let finding =
        of_gradients(gradients).map(|finding| format!("\n{finding}\n")).unwrap_or_default();
    format!("\n{heading}\n\n{}{flags}{finding}", text.render())
}
