//! The sentences about the recurrent state: what a set of channels that holds for the whole run costs,
//! and a set for every token.

use std::collections::{BTreeMap, BTreeSet};

use plan::{Mode, Part, Policy, Rule, Score, shortest_decimal};

use crate::accuracy::{Accuracy, AccuracyTable};
use crate::dial::{Dial, DialRow};
use crate::findings::{Finding, at_accuracy, line_ends, times};
use crate::format::percent;
use crate::perplexity::{Perplexity, PerplexityTable};
use crate::row::{Row, is_of, newest, newest_dense};
use crate::unequal;

/// One sentence for each table in which state channels are dropped.
pub(crate) fn findings(
    perplexity: &[PerplexityTable],
    dials: &[Dial],
    accuracy: &[AccuracyTable],
) -> Vec<Finding> {
    let perplexity = perplexity.iter().filter_map(|table| {
        let dense = newest_dense(&table.rows)?;
        let costs = |row: &Row<Perplexity>| {
            let compared = row.measured.against_dense.compared()?;
            let is_same_dense = compared.dense_cell_id == dense.cell_id;
            is_same_dense.then(|| (compared.ratio, times(row, compared.ratio)))
        };
        let dial = dials.iter().find(|dial| dial.is_of(table) && dial.part == Part::State);
        let ends = dial.map(|dial| dial_ends(table, dial)).unwrap_or_default();
        let costs = sentence(&table.rows, "costs", costs);
        let sentences: Vec<String> = costs.into_iter().chain(ends).collect();
        let sentences = (!sentences.is_empty()).then(|| sentences.join(" "))?;
        let (model, dataset, protocol) = (&table.model, &table.dataset, table.protocol);
        let text = format!("{model} on {dataset} ({protocol}), state: {sentences}");
        Some(Finding::of_model(model, text))
    });
    let accuracy = accuracy.iter().filter_map(|table| {
        let dense = newest_dense(&table.rows)?;
        let gives = |row: &Row<Accuracy>| {
            let compared = row.measured.against_dense.compared()?;
            let is_same_dense = compared.dense_cell_id == dense.cell_id;
            is_same_dense.then(|| (-compared.difference, at_accuracy(row, compared)))
        };
        let gives = sentence(&table.rows, "gives", gives)?;
        let (model, dataset, protocol) = (&table.model, &table.dataset, table.protocol);
        let text = format!("{model} on {dataset} ({protocol}), state: {gives}");
        Some(Finding::of_model(model, text))
    });
    perplexity.chain(accuracy).collect()
}

/// The ends of the dial at the largest sparsity, one sentence a score and mode.
fn dial_ends(table: &PerplexityTable, dial: &Dial) -> Vec<String> {
    let mut lines: BTreeMap<(Score, Option<Mode>), &DialRow> = BTreeMap::new();
    for row in dial.rows.iter().filter(|row| row.rule == Rule::WindowMean) {
        let line = lines.entry((row.score, row.mode)).or_insert(row);
        if row.sparsity > line.sparsity {
            *line = row;
        }
    }
    lines.into_values().filter_map(|line| line_ends(table, line)).collect()
}

/// What the ways to choose one kind of set cost at one sparsity.
struct Costs {
    sparsity: f64,
    /// Mode by mode, the smallest first.
    text: String,
    /// What each way is called, and the share that it drops.
    reached: Vec<(String, f64)>,
}

/// `costs` says what a row is rated by (less is better) and how it reads.
fn sentence<M>(
    rows: &[Row<M>],
    verb: &str,
    costs: impl Fn(&Row<M>) -> Option<(f64, String)>,
) -> Option<String> {
    let fixed = at_one_sparsity(rows, Policy::Static, &costs);
    let dynamic = at_one_sparsity(rows, Policy::Dynamic, &costs);
    let part =
        |costs: &Costs, what: &str, when: &str| format!("{what}{when} {verb} {}", costs.text);
    let what = |costs: &Costs| {
        let (share, decimal) = (percent(costs.sparsity), shortest_decimal(costs.sparsity));
        format!("dropping {share} of the channels (κ={decimal}) ")
    };
    let is_one_sparsity =
        fixed.as_ref().zip(dynamic.as_ref()).is_some_and(|(a, b)| a.sparsity == b.sparsity);
    let first = fixed.iter().map(|costs| part(costs, &what(costs), "for the whole run (static)"));
    let second = dynamic.iter().map(|costs| {
        let what = if is_one_sparsity { String::new() } else { what(costs) };
        part(costs, &what, "token by token (dynamic)")
    });
    let parts: Vec<String> = first.chain(second).collect();
    let unequal = match (&fixed, &dynamic) {
        (Some(fixed), Some(dynamic)) if fixed.sparsity == dynamic.sparsity => {
            unequal::flag(fixed.reached.iter().chain(&dynamic.reached).cloned())
        }
        _ => None,
    };
    let unequal = unequal.map(|flag| format!(" ({flag})")).unwrap_or_default();
    (!parts.is_empty()).then(|| format!("{}{unequal}.", parts.join("; ")))
}

/// Of the sparsities that most ways have the largest, and what they cost there.
fn at_one_sparsity<M>(
    rows: &[Row<M>],
    policy: Policy,
    costs: &impl Fn(&Row<M>) -> Option<(f64, String)>,
) -> Option<Costs> {
    // κ as text sorts as it reads: all are "0.…" without trailing zeros.
    let mut by_sparsity: BTreeMap<String, BTreeMap<String, Vec<&Row<M>>>> = BTreeMap::new();
    let of_policy = |row: &&Row<M>| row.cell.treatment.policy == policy;
    for row in rows.iter().filter(|row| is_of(row, Part::State)).filter(of_policy) {
        if costs(row).is_some() {
            let sparsity = shortest_decimal(row.cell.treatment.sparsity);
            by_sparsity.entry(sparsity).or_default().entry(chosen_by(row)).or_default().push(row);
        }
    }
    let (_, ways) = by_sparsity.into_iter().max_by_key(|(_, ways)| ways.len())?;
    let sparsity = ways.values().flatten().next()?.cell.treatment.sparsity;
    let mut rated = Vec::new();
    for (way, twins) in ways {
        let row = newest(twins)?;
        let (rating, text) = costs(row)?;
        rated.push(Rated { rating, text: format!("{text} by {way}"), way, row });
    }
    rated.sort_by(|a, b| a.rating.total_cmp(&b.rating));
    let reached = rated
        .iter()
        .map(|rated| (format!("{policy} {}", rated.way), rated.row.shares.reached_sparsity));
    let reached = reached.collect();
    Some(Costs { sparsity, text: told(&rated).join(", "), reached })
}

/// One way to choose sets.
struct Rated<'a, M> {
    /// Less is better.
    rating: f64,
    text: String,
    way: String,
    row: &'a Row<M>,
}

/// What a sentence tells of `rated` (the best first), mode by mode: every way but the wrong way round.
fn told<'a, M>(rated: &'a [Rated<'_, M>]) -> Vec<&'a str> {
    let mode = |way: &Rated<'_, M>| way.row.cell.treatment.mode;
    let modes: BTreeSet<Option<Mode>> = rated.iter().map(mode).collect();
    let of_mode = |own: Option<Mode>| {
        let is_told = |way: &&Rated<'_, M>| way.row.cell.treatment.score != Some(Score::Reversed);
        rated.iter().filter(move |way| mode(way) == own).filter(is_told)
    };
    modes.into_iter().flat_map(of_mode).map(|way| way.text.as_str()).collect()
}

/// `ghost (sequential)`, `ghost (read)`, `state-weight`.
fn chosen_by<M>(row: &Row<M>) -> String {
    let treatment = &row.cell.treatment;
    let score = treatment.score.map_or("no score", |score| score.as_str());
    let mode = treatment.mode.map(|mode| mode.as_str());
    match mode.or(treatment.recalibration.map(|recalibration| recalibration.as_str())) {
        Some(how) => format!("{score} ({how})"),
        None => score.to_owned(),
    }
}
