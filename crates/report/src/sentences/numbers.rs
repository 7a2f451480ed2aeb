//! Numbers with their limits, as they stand in sentences.

use evidence::Row;
use judgement::accuracy::{Accuracy, AccuracyDifference};
use judgement::atlas::Mean;
use judgement::perplexity::Perplexity;
use plan::{Score, shortest_decimal};

use crate::format::{correlation, percent, points, significant};

/// `κ=0.9, magnitude`.
pub(super) fn name<M>(row: &Row<M>) -> String {
    let score = row.key.score.map_or("no score", Score::as_str);
    format!("κ={}, {score}", shortest_decimal(row.key.sparsity.get()))
}

/// `4.832 × dense [4.1, 5.6]`.
pub(super) fn times(row: &Row<Perplexity>, ratio: f64) -> String {
    let limits = row.measured.ratio().and_then(|compared| compared.lower.zip(compared.upper));
    let ratio = significant(ratio, 4);
    match limits {
        Some((lower, upper)) => {
            format!("{ratio} × dense [{}, {}]", significant(lower, 4), significant(upper, 4))
        }
        None => format!("{ratio} × dense"),
    }
}

/// `98/300 = 32.7 % [27.6 %, 38.2 %]`.
pub(super) fn correct(row: &Row<Accuracy>) -> String {
    let Accuracy { n_correct, n_items, accuracy, lower, upper, .. } = &row.measured;
    let (accuracy, lower, upper) = (percent(*accuracy), percent(*lower), percent(*upper));
    format!("{n_correct}/{n_items} = {accuracy} [{lower}, {upper}]")
}

/// `98/300 = 32.7 % [27.6 %, 38.2 %], -12.0 points [-15.1, -9.2]`.
pub(super) fn at_accuracy(row: &Row<Accuracy>, difference: &AccuracyDifference) -> String {
    format!(
        "{}, {} points [{}, {}]",
        correct(row),
        points(difference.difference),
        points(difference.lower),
        points(difference.upper),
    )
}

/// `-0.158 [-0.201, -0.110]`
pub(crate) fn with_limits(mean: &Mean) -> String {
    match mean.lower.zip(mean.upper) {
        Some((lower, upper)) => {
            let [value, lower, upper] = [mean.value, lower, upper].map(|own| correlation(own, 3));
            format!("{value} [{lower}, {upper}]")
        }
        None => correlation(mean.value, 3),
    }
}
