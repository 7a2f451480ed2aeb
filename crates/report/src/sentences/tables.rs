//! The sentences about tables of perplexity and of last words.

use judgement::Summary;
use judgement::accuracy::AccuracyTable;
use judgement::contrast::contrasts;
use judgement::dial::Dial;
use judgement::extremes::{
    best_dynamic, cheapest_dynamic, dearest_static, largest_line, natural_sparsity,
};
use judgement::perplexity::PerplexityTable;
use plan::Part;

use super::dial::line_ends;
use super::finding::OfModel;
use super::numbers::{at_accuracy, correct, name, times};
use super::{state, unequal};
use crate::format::{count, p_value, percent, significant};

/// One a table that has a dense cell, and one more where it prunes the state.
pub(super) fn sentences(summary: &Summary) -> Vec<OfModel> {
    let perplexity = summary.perplexity_tables.iter().filter_map(|table| {
        let dial = summary.dials.iter().find(|dial| dial.is_of(table) && dial.part == Part::Ffn);
        let parts = [
            Some(of_perplexity(table)?),
            natural_sparsity(table).map(zeros),
            static_against_dynamic(table),
            dial.and_then(|dial| dial_ends(table, dial)),
        ];
        let text = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        Some((table.model.clone(), text))
    });
    let accuracy = summary.accuracy_tables.iter();
    let accuracy = accuracy.filter_map(|table| Some((table.model.clone(), of_accuracy(table)?)));
    perplexity.chain(accuracy).chain(state::sentences(summary)).collect()
}

fn of_perplexity(table: &PerplexityTable) -> Option<String> {
    let PerplexityTable { model, dataset, protocol, .. } = table;
    let dense = &table.query().dense()?.measured;
    let n_windows = count(dense.n_windows, "window");
    let mut sentence = format!(
        "{model} on {dataset} ({protocol}, {n_windows}): dense perplexity {}",
        significant(dense.perplexity?, 5)
    );
    if let Some((row, ratio)) = dearest_static(table) {
        sentence +=
            &format!("; the dearest static cut ({}) costs {}", name(row), times(row, ratio));
    }
    if let Some((row, ratio)) = cheapest_dynamic(table) {
        sentence +=
            &format!("; the cheapest dynamic choice ({}) costs {}", name(row), times(row, ratio));
    }
    Some(sentence + ".")
}

fn zeros(share: f64) -> String {
    let share = percent(share);
    format!(
        "With nothing dropped, {share} of the entries of its feed-forward layers are exactly zero."
    )
}

/// One set for all tokens against a set for each, at the largest sparsity that both have.
fn static_against_dynamic(table: &PerplexityTable) -> Option<String> {
    let contrast = contrasts(table).into_iter().next_back()?;
    let fixed = contrast.fixed.measured.ratio()?.ratio;
    let dynamic = contrast.dynamic.measured.ratio()?.ratio;
    let unequal = contrast.unequal().map(|own| format!(" ({})", unequal::flag(&own)));
    Some(format!(
        "With {} of the neurons dropped ({}), one kept set for the whole run (static) gives {} \
         times the perplexity of a set for every token (dynamic): {} against {} × dense{}.",
        percent(contrast.sparsity),
        name(contrast.fixed),
        significant(fixed / dynamic, 3),
        significant(fixed, 4),
        significant(dynamic, 4),
        unequal.unwrap_or_default(),
    ))
}

/// The shortest and the longest window of the line with the largest sparsity.
fn dial_ends(table: &PerplexityTable, dial: &Dial) -> Option<String> {
    line_ends(table, largest_line(dial)?)
}

fn of_accuracy(table: &AccuracyTable) -> Option<String> {
    let AccuracyTable { model, dataset, protocol, .. } = table;
    let dense = table.query().dense()?;
    let mut sentence = format!("{model} on {dataset} ({protocol}): dense {}", correct(dense));
    if let Some(row) = best_dynamic(table)
        && let Some(difference) = row.measured.difference()
    {
        let at = at_accuracy(row, difference);
        let p = p_value(difference.mcnemar_p);
        sentence += &format!("; dynamic at {} {at}, McNemar p = {p}", name(row));
    }
    Some(sentence + ".")
}
