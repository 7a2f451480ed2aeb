//! The ends of a table that its sentences are about: the dearest static cut, the cheapest dynamic choice.

use evidence::{Row, Wanted};
use plan::{Part, Policy, Rule, Score};

use crate::accuracy::{Accuracy, AccuracyTable};
use crate::contrast::SCORE;
use crate::dial::{Dial, DialRow};
use crate::perplexity::{Perplexity, PerplexityTable};
use crate::quadrants::Kind;

/// Rows with what each is rated by; less is better.
type WithCost<'a, M> = Vec<(&'a Row<M>, f64)>;

/// Sets of neurons under `policy`, whatever chose them.
pub(crate) fn neurons(policy: Policy) -> Wanted {
    Wanted { part: Some(Part::Ffn), policy: Some(policy), ..Wanted::default() }
}

/// Whether a score is a control. That a control is bad is no finding.
pub fn is_control(score: Option<Score>) -> bool {
    score.is_some_and(|score| Kind::of(score) == Kind::Control)
}

/// Controls are left out where there is anything else.
fn without_controls<M>(rated: WithCost<'_, M>) -> WithCost<'_, M> {
    if rated.iter().all(|(row, _)| is_control(row.key.score)) {
        return rated;
    }
    rated.into_iter().filter(|(row, _)| !is_control(row.key.score)).collect()
}

fn ratios(table: &PerplexityTable, policy: Policy) -> WithCost<'_, Perplexity> {
    let rows = table.query().rows(neurons(policy)).collect::<Vec<_>>().into_iter();
    let rated = rows.filter_map(|row| Some((row, row.measured.ratio()?.ratio)));
    without_controls(rated.collect())
}

/// The static cut of neurons that costs most, with its perplexity × dense; the first of equals.
pub fn dearest_static(table: &PerplexityTable) -> Option<(&Row<Perplexity>, f64)> {
    ratios(table, Policy::Static).into_iter().rev().max_by(|a, b| a.1.total_cmp(&b.1))
}

/// The dynamic choice of neurons that costs least at the highest κ, with its perplexity × dense.
pub fn cheapest_dynamic(table: &PerplexityTable) -> Option<(&Row<Perplexity>, f64)> {
    at_highest_sparsity(ratios(table, Policy::Dynamic))
}

/// The dynamic choice of neurons that loses the fewest items at the highest κ.
pub fn best_dynamic(table: &AccuracyTable) -> Option<&Row<Accuracy>> {
    let rows = table.query().rows(neurons(Policy::Dynamic)).collect::<Vec<_>>().into_iter();
    let rated = rows.filter_map(|row| Some((row, -row.measured.difference()?.difference)));
    Some(at_highest_sparsity(without_controls(rated.collect()))?.0)
}

/// The smallest value at the highest κ; the first of equals.
fn at_highest_sparsity<M>(rated: WithCost<'_, M>) -> Option<(&Row<M>, f64)> {
    rated
        .into_iter()
        .min_by(|a, b| b.0.key.sparsity.cmp(&a.0.key.sparsity).then(a.1.total_cmp(&b.1)))
}

/// Share of the hidden entries that are zero with nothing dropped; nothing for a model without
/// feed-forward neurons, of which no cell drops any.
pub fn natural_sparsity(table: &PerplexityTable) -> Option<f64> {
    let dense = table.query().dense()?;
    let mut neurons = table.rows.iter().filter(|row| row.key.prunes(Part::Ffn));
    let has_neurons = neurons.any(|row| row.shares.reached_sparsity > 0.0);
    dense.shares.natural_sparsity.filter(|_| has_neurons)
}

/// The line of a dial of neurons with the largest sparsity.
pub fn largest_line(dial: &Dial) -> Option<&DialRow> {
    let lines = dial.rows.iter().filter(|row| (row.score, row.rule) == (SCORE, Rule::WindowMean));
    lines.max_by(|a, b| a.sparsity.total_cmp(&b.sparsity))
}

/// The ends of a line: the window and the row at its shortest and at its longest window; none for a line
/// of one window.
pub fn line_ends<'a>(
    table: &'a PerplexityTable,
    line: &DialRow,
) -> Option<[(usize, &'a Row<Perplexity>); 2]> {
    let (first, last) = (line.values.first()?, line.values.last()?);
    if first.window == last.window {
        return None;
    }
    let row = |id: &str| table.rows.iter().find(|row| row.cell_id == id);
    Some([(first.window, row(&first.cell_id)?), (last.window, row(&last.cell_id)?)])
}
