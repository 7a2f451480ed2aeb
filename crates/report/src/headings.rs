//! Headings by which parts of a page refer to each other.

use evidence::Subject;
use judgement::atlas::Entry;
use judgement::quadrants::{Quadrants, Rating};
use judgement::recall::Recall;

use crate::units::units;

/// The heading of the rows of a model on a text.
pub(crate) fn of_table((model, dataset, protocol): Subject<'_>) -> String {
    format!("{model} · {dataset} · {protocol}")
}

/// The heading of the recipes of a model on a text.
pub(crate) fn of_recipes(subject: Subject<'_>) -> String {
    format!("{}: recipes", of_table(subject))
}

/// The heading of a model's rows side by side.
pub(crate) fn of_speed(model: &str) -> String {
    format!("{model}: speed")
}

/// The heading of the tasks of a model.
pub(crate) fn of_tasks(model: &str) -> String {
    format!("{model}: tasks")
}

/// The heading of a table of recall by distance.
pub(crate) fn of_recall(recall: &Recall) -> String {
    format!("Recall by distance: {} · {} · {}", recall.model, recall.dataset, recall.protocol)
}

/// The heading of a table of part × method.
pub(crate) fn of_quadrants(table: &Quadrants) -> String {
    let what = match table.measure {
        Rating::PerplexityRatio => "perplexity × dense",
        Rating::Accuracy => "accuracy",
    };
    format!("{}: {what} [95 % interval]", of_table(table.subject()))
}

/// The heading of a text's part of the atlas.
pub(crate) fn of_entry(entry: &Entry) -> String {
    format!("{} · {}: {}", entry.model, entry.dataset, units(entry.part))
}
