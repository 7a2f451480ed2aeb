//! Recipes that cut weights or skip parts of attention or layers: a table a model and text, and methods side
//! by side.

use evidence::AgainstDense;
use judgement::perplexity::PerplexityRatio;
use judgement::recipes::{Methods, RecipeRow, Recipes};

use crate::document::Align::{Left, Right};
use crate::document::{Block, Field, Table};
use crate::format::{NOTHING, or_nothing, percent, significant};
use crate::headings;

/// All tables of a run; nothing where no cell cuts anything but neurons and channels.
pub(super) fn section(all: &[Recipes]) -> Vec<Block> {
    if all.is_empty() {
        return Vec::new();
    }
    let heading = Block::heading(2, "What recipes leave, and what they cost");
    let explained = Block::paragraph(
        "Bytes are those of docs/SPEC.md section 11: 16 bits a number where nothing is rounded, with the \
         index of zeros, scales and zero points. A recipe is not beaten where none costs less with no \
         more bytes.",
    );
    [heading, explained].into_iter().chain(all.iter().flat_map(of_model)).collect()
}

fn of_model(recipes: &Recipes) -> Vec<Block> {
    let mut blocks = vec![
        Block::heading(3, headings::of_recipes(recipes.subject())),
        Block::Table(table(recipes)),
    ];
    if recipes.rows.iter().any(|row| row.layers_per_token.is_some()) {
        let model = headings::of_table(recipes.subject());
        blocks.push(Block::heading(4, format!("{model}: layers a token")));
        blocks.push(Block::Table(exits(recipes)));
        blocks.push(Block::paragraph(
            "Tokens that leave before the last layer, beside the worst single target: a few that are \
             ruined do not show in a mean. Worse than chance are targets that an even guess over the \
             vocabulary would have cost less.",
        ));
    }
    for methods in &recipes.methods {
        let strength = match methods.strength.contains(':') {
            true => methods.strength.clone(),
            false => format!("κ={}", methods.strength),
        };
        let model = headings::of_table(recipes.subject());
        blocks.push(Block::heading(4, format!("{model}: methods at {strength}")));
        blocks.push(Block::Table(of_methods(methods)));
    }
    blocks
}

fn table(recipes: &Recipes) -> Table {
    let mut table = Table::new([
        ("recipe", Left),
        ("perplexity", Right),
        ("× dense [95 %]", Right),
        ("JS, nats", Right),
        ("bytes", Right),
        ("share of dense", Right),
        ("parameters left", Right),
        ("not beaten", Left),
        ("cell", Left),
    ])
    .home();
    let dense = recipes.rows.iter().find(|row| row.recipe == "dense").map(|row| row.stored_bytes);
    for row in &recipes.rows {
        let share = dense.map(|dense| percent(row.stored_bytes as f64 / dense as f64));
        table.push([
            Field::text(&row.label),
            Field::Number(or_nothing(row.perplexity.map(|value| significant(value, 5)))),
            Field::Number(times(row)),
            Field::Number(or_nothing(row.js_nats.map(|value| format!("{value:.5}")))),
            Field::Number(row.stored_bytes.to_string()),
            Field::Number(or_nothing(share)),
            Field::Number(row.parameters_left.to_string()),
            Field::text(if row.is_on_front { "yes" } else { "" }),
            Field::cell(&row.cell_id),
        ]);
    }
    table
}

/// Recipes by which tokens leave early, below dense.
fn exits(recipes: &Recipes) -> Table {
    let mut table = Table::new([
        ("recipe", Left),
        ("layers a token", Right),
        ("× dense [95 %]", Right),
        ("worst target, nats", Right),
        ("worse than chance", Right),
        ("cell", Left),
    ]);
    let is_shown = |row: &&RecipeRow| row.recipe == "dense" || row.layers_per_token.is_some();
    for row in recipes.rows.iter().filter(is_shown) {
        table.push([
            Field::text(&row.label),
            Field::Number(or_nothing(row.layers_per_token.map(|layers| significant(layers, 4)))),
            Field::Number(times(row)),
            Field::Number(significant(row.worst_nll_nats, 3)),
            Field::Number(row.n_worse_than_chance.to_string()),
            Field::cell(&row.cell_id),
        ]);
    }
    table
}

fn times(row: &RecipeRow) -> String {
    match &row.against_dense {
        AgainstDense::Baseline => "1".to_owned(),
        AgainstDense::Compared(ratio) => interval(ratio),
        AgainstDense::NoDense | AgainstDense::Refused { .. } => NOTHING.to_owned(),
    }
}

/// `1.234 [1.2, 1.3]`
pub(super) fn interval(ratio: &PerplexityRatio) -> String {
    let number = |value: f64| significant(value, 4);
    match (ratio.lower, ratio.upper) {
        (Some(lower), Some(upper)) => {
            format!("{} [{}, {}]", number(ratio.ratio), number(lower), number(upper))
        }
        _ => number(ratio.ratio),
    }
}

fn of_methods(methods: &Methods) -> Table {
    let mut table = Table::new([
        ("method", Left),
        ("× dense [95 %]", Right),
        ("× magnitude [95 %]", Right),
        ("cell", Left),
    ]);
    let mut rows: Vec<_> = methods.rows.iter().collect();
    rows.sort_by(|a, b| a.against_dense.ratio.total_cmp(&b.against_dense.ratio));
    for row in rows {
        table.push([
            Field::text(&row.method),
            Field::Number(interval(&row.against_dense)),
            Field::Number(or_nothing(row.against_magnitude.as_ref().map(interval))),
            Field::cell(&row.cell_id),
        ]);
    }
    table
}
