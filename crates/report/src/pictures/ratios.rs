//! Perplexities as multiples of dense at the places of a picture, and as numbers in its table.

use evidence::absent::{Why, absent};
use evidence::place::{Model, Place, models};
use evidence::{Key, Row};
use judgement::Summary;
use judgement::perplexity::{Perplexity, PerplexityRatio};
use plan::{Cell, Measure};

use super::choose::Choice;
use super::words::place_cell;
use crate::document::Align::{self, Left, Right};
use crate::document::Field;
use crate::format::{NOTHING, or_nothing, significant};
use crate::headings;

/// The headings of the tables of a choice's models.
pub(super) fn tables<T>(summary: &Summary, choice: &Choice<'_, T>) -> Vec<String> {
    let is_shown = |model: &str| choice.shown.iter().any(|(own, _)| *own == model);
    let tables = summary.perplexity_tables.iter().filter(|table| {
        (table.dataset.as_str(), table.protocol) == (choice.dataset, choice.protocol)
            && is_shown(&table.model)
    });
    tables.map(|table| headings::of_table(table.subject())).collect()
}

/// The models of the perplexity tables with those cells without results that `is_wanted` or dense.
pub(super) fn perplexity_models(
    summary: &Summary,
    is_wanted: impl Fn(&Key) -> bool,
) -> Vec<Model<'_, Perplexity>> {
    let tables =
        summary.perplexity_tables.iter().map(|table| (table.subject(), table.rows.as_slice()));
    let is_wanted = |cell: &Cell| {
        let is_wanted = |key: Key| key.is_dense() || is_wanted(&key);
        cell.protocol.measure() == Measure::MeanLoss && Key::of(cell).is_some_and(is_wanted)
    };
    models(tables, &absent(&summary.failed, &summary.missing), is_wanted)
}

/// The perplexity of a row as a multiple of dense.
pub(super) fn ratio(row: &Row<Perplexity>) -> Option<&PerplexityRatio> {
    row.measured.ratio()
}

/// The columns of [`place_numbers`].
pub(super) const NUMBERS: [(&str, Align); 7] = [
    ("perplexity", Right),
    ("× dense", Right),
    ("lower", Right),
    ("upper", Right),
    ("windows", Right),
    ("targets", Right),
    ("cell", Left),
];

/// Perplexity, ratio, its limits, windows, targets and cell of a place.
pub(super) fn place_numbers(place: &Place<'_, Perplexity>) -> [Field; 7] {
    let Some(row) = place.row() else {
        let why = Field::number(place.why().map_or(NOTHING, Why::as_str));
        let nothing = || Field::number(NOTHING);
        return [why, nothing(), nothing(), nothing(), nothing(), nothing(), place_cell(place)];
    };
    let number =
        |own: Option<f64>| Field::Number(or_nothing(own.map(|value| significant(value, 5))));
    let ratio = ratio(row);
    let Perplexity { perplexity, n_windows, n_targets, .. } = row.measured;
    [
        number(perplexity),
        number(ratio.map(|ratio| ratio.ratio)),
        number(ratio.and_then(|ratio| ratio.lower)),
        number(ratio.and_then(|ratio| ratio.upper)),
        Field::Number(n_windows.to_string()),
        Field::Number(n_targets.to_string()),
        place_cell(place),
    ]
}
