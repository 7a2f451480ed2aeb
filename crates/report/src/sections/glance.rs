//! Every model in one line.

use judgement::Glance;
use judgement::contrast::SCORE;
use plan::shortest_decimal;

use crate::document::Align::{Left, Right};
use crate::document::{Block, Field, Table};
use crate::format::{NOTHING, or_nothing, percent, significant};

/// The table; nothing where no model has both ends.
pub(super) fn section(all: &[Glance]) -> Vec<Block> {
    if all.is_empty() {
        return Vec::new();
    }
    let columns = [
        ("model", Left),
        ("text", Left),
        ("dense", Right),
        ("zeros", Right),
        ("κ", Right),
        ("dynamic", Right),
        ("static", Right),
        ("last words", Left),
        ("dense words", Right),
        ("dynamic words", Right),
        ("static words", Right),
    ];
    let mut table = Table::new(columns);
    let share = |share: Option<f64>| share.map_or_else(|| NOTHING.to_owned(), percent);
    let text = |own: &Glance| format!("{} ({})", own.dataset, own.protocol);
    let task = |own: &Glance| own.task.clone().unwrap_or_default();
    // What is the same in every row is said once, and its column is left out.
    let same = |field: &dyn Fn(&Glance) -> String| {
        let first = field(&all[0]);
        (all.iter().all(|own| field(own) == first) && !first.is_empty()).then_some(first)
    };
    let (same_text, same_task) = (same(&text), same(&task));
    let same_sparsity = same(&|own| shortest_decimal(own.sparsity));
    let unless = |same: &Option<String>, field: String| match same {
        Some(_) => Field::empty(),
        None => Field::Text(field),
    };
    for own in all {
        table.push([
            Field::text(&own.model),
            unless(&same_text, text(own)),
            Field::Number(or_nothing(own.dense_perplexity.map(|value| significant(value, 5)))),
            Field::Number(or_nothing(own.natural_sparsity.map(percent))),
            unless(&same_sparsity, shortest_decimal(own.sparsity)),
            Field::Number(format!("{} ×", significant(own.dynamic_ratio, 4))),
            Field::Number(format!("{} ×", significant(own.static_ratio, 4))),
            unless(&same_task, task(own)),
            Field::Number(share(own.dense_accuracy)),
            Field::Number(share(own.dynamic_accuracy)),
            Field::Number(share(own.static_accuracy)),
        ]);
    }
    let of = |what: &str, same: &Option<String>| {
        same.as_ref().map(|own| format!("{what} {own}")).unwrap_or_default()
    };
    let note = format!(
        "Perplexity{}. Of the hidden entries so many are zeros anyway. A share κ{} of \
         the neurons is dropped by {SCORE}, per token (dynamic) or for good (static): multiples of the model's \
         own dense perplexity, then last words{}. Intervals and tests are in the tables below.",
        of(" of", &same_text),
        of(" =", &same_sparsity),
        of(" of", &same_task),
    );
    vec![Block::heading(2, "At a glance"), Block::Table(table), Block::paragraph(note)]
}
