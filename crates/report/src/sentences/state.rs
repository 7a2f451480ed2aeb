//! The sentences about the recurrent state: what a set of channels that holds for the whole run costs,
//! and a set for every token.

use evidence::{Paired, Row};
use judgement::Summary;
use judgement::dial::Dial;
use judgement::perplexity::PerplexityTable;
use judgement::state::{Cost, Costs, StateCosts, largest_lines, state_costs};
use judgement::{Table, accuracy, perplexity};
use plan::{Part, shortest_decimal};

use super::dial::line_ends;
use super::finding::OfModel;
use super::numbers::{at_accuracy, times};
use super::unequal;
use crate::format::percent;

/// One sentence for each table in which state channels are dropped.
pub(super) fn sentences(summary: &Summary) -> Vec<OfModel> {
    let of_perplexity = summary.perplexity_tables.iter().filter_map(|table| {
        table.query().dense()?;
        let costs =
            |row: &Row<perplexity::Perplexity>| Some(times(row, row.measured.ratio()?.ratio));
        let dial = summary.dials.iter().find(|own| own.is_of(table) && own.part == Part::State);
        let ends = dial.map(|dial| dial_ends(table, dial)).unwrap_or_default();
        let sentences: Vec<String> =
            sentence(table, "costs", costs).into_iter().chain(ends).collect();
        let sentences = (!sentences.is_empty()).then(|| sentences.join(" "))?;
        Some(of_table(table, &sentences))
    });
    let of_accuracy = summary.accuracy_tables.iter().filter_map(|table| {
        let gives =
            |row: &Row<accuracy::Accuracy>| Some(at_accuracy(row, row.measured.difference()?));
        Some(of_table(table, &sentence(table, "gives", gives)?))
    });
    of_perplexity.chain(of_accuracy).collect()
}

fn of_table<M>(table: &Table<M>, sentences: &str) -> OfModel {
    let (model, dataset, protocol) = (&table.model, &table.dataset, table.protocol);
    (model.clone(), format!("{model} on {dataset} ({protocol}), state: {sentences}"))
}

/// The ends of the dial at the largest sparsity, one sentence a score and mode.
fn dial_ends(table: &PerplexityTable, dial: &Dial) -> Vec<String> {
    largest_lines(dial).into_iter().filter_map(|line| line_ends(table, line)).collect()
}

/// `costs` says how a row reads.
fn sentence<M: Paired + Cost>(
    table: &Table<M>,
    verb: &str,
    costs: impl Fn(&Row<M>) -> Option<String>,
) -> Option<String> {
    let both: StateCosts<'_, M> = state_costs(table)?;
    let part = |own: &Costs<'_, M>, what: &str, when: &str| {
        let ways = own.ways.iter().filter_map(|(way, row)| Some((way, costs(row)?)));
        let ways = ways.map(|(way, text)| format!("{text} by {}", way.name()));
        format!("{what}{when} {verb} {}", ways.collect::<Vec<_>>().join(", "))
    };
    let what = |own: &Costs<'_, M>| {
        let (share, decimal) = (percent(own.sparsity), shortest_decimal(own.sparsity));
        format!("dropping {share} of the channels (κ={decimal}) ")
    };
    let first = both.fixed.iter().map(|own| part(own, &what(own), "for the whole run (static)"));
    let second = both.dynamic.iter().map(|own| {
        let what = if both.is_one_sparsity() { String::new() } else { what(own) };
        part(own, &what, "token by token (dynamic)")
    });
    let parts: Vec<String> = first.chain(second).collect();
    let unequal = both.unequal().map(|own| format!(" ({})", unequal::flag(&own)));
    Some(format!("{}{}.", parts.join("; "), unequal.unwrap_or_default()))
}
