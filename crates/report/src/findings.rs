//! The sentences that open a report, generated from its tables.

use plan::{Part, Policy, Rule, Score, shortest_decimal};
use serde::Serialize;

use crate::accuracy::{Accuracy, AccuracyDifference, AccuracyTable};
use crate::baseline::AgainstDense;
use crate::contrast::{SCORE, pairs};
use crate::dial::{Dial, DialRow, DialValue};
use crate::format::{count, p_value, percent, points, significant};
use crate::markdown::{plain, sentence};
use crate::perplexity::{Perplexity, PerplexityTable};
use crate::row::{Row, is_of, newest_dense};
use crate::state;
use crate::summary::Counts;

/// A sentence that was made from numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The model that it is about; none of the whole run.
    pub(crate) model: Option<String>,
    pub(crate) text: String,
}

impl Finding {
    pub(crate) fn of_model(model: &str, text: String) -> Self {
        Finding { model: Some(model.to_owned()), text }
    }

    pub(crate) fn of_run(text: String) -> Self {
        Finding { model: None, text }
    }
}

/// Those of the run first, then model by model in the order in which models first appear; within one in
/// the order given.
pub(crate) fn by_model(findings: Vec<Finding>) -> Vec<Finding> {
    let mut models: Vec<Option<String>> = vec![None];
    for finding in &findings {
        if !models.contains(&finding.model) {
            models.push(finding.model.clone());
        }
    }
    let mut sorted = findings;
    sorted.sort_by_key(|finding| models.iter().position(|model| *model == finding.model));
    sorted
}

/// So many findings about models open the page; more stand behind a click, below the tables that sum them
/// up.
const OPEN_FINDINGS: usize = 8;

/// The findings of the run, then those of its models where they are few.
pub(crate) fn opening(findings: &[Finding]) -> String {
    let of_models = findings.iter().filter(|finding| finding.model.is_some()).count();
    let is_open = |finding: &&Finding| finding.model.is_none() || of_models <= OPEN_FINDINGS;
    findings.iter().filter(is_open).map(|own| format!("- {}\n", sentence(&own.text))).collect()
}

/// The findings model by model, where they are too many to open the page.
pub(crate) fn all(findings: &[Finding]) -> String {
    let of_models: Vec<&Finding> = findings.iter().filter(|f| f.model.is_some()).collect();
    if of_models.len() <= OPEN_FINDINGS {
        return String::new();
    }
    let n = count(of_models.len(), "finding");
    let mut text = format!("\n<details><summary>{n}, model by model</summary>\n");
    for own in of_models.chunk_by(|a, b| a.model == b.model) {
        text += &format!("\n**{}**\n\n", plain(own[0].model.as_deref().unwrap_or_default()));
        text.extend(own.iter().map(|finding| format!("- {}\n", sentence(&finding.text))));
    }
    text + "\n</details>\n"
}

/// One finding a table that has a dense cell, and one more where it prunes the state.
pub(crate) fn of(
    perplexity_tables: &[PerplexityTable],
    dials: &[Dial],
    accuracy_tables: &[AccuracyTable],
) -> Vec<Finding> {
    let perplexity = perplexity_tables.iter().filter_map(|table| {
        let dial = dials.iter().find(|dial| dial.is_of(table) && dial.part == Part::Ffn);
        let parts = [
            Some(perplexity_finding(table)?),
            natural_sparsity(table),
            static_against_dynamic(table),
            dial.and_then(|dial| dial_ends(table, dial)),
        ];
        let text = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        Some(Finding::of_model(&table.model, text))
    });
    let accuracy = accuracy_tables
        .iter()
        .filter_map(|table| Some(Finding::of_model(&table.model, accuracy_finding(table)?)));
    let ffn = perplexity.chain(accuracy);
    ffn.chain(state::findings(perplexity_tables, dials, accuracy_tables)).collect()
}

/// How many cells are done, failed and missing.
pub(crate) fn cells(counts: &Counts) -> String {
    let mut parts = vec![format!("{} done", counts.n_done)];
    parts.push(format!("{} failed", counts.n_failed));
    let ordered = match counts.n_ordered {
        Some(ordered) => {
            parts.push(format!("{} missing", counts.n_missing));
            format!("Of {} ordered: ", count(ordered, "cell"))
        }
        None => "Cells: ".to_owned(),
    };
    let mut sentence = format!("{ordered}{}", parts.join(", "));
    if counts.n_done_before + counts.n_failed_before > 0 {
        let (done, failed) = (counts.n_done_before, counts.n_failed_before);
        sentence += &format!("; of earlier orders {done} done, {failed} failed");
    }
    if counts.n_unreadable_files > 0 {
        sentence += &format!("; {} unreadable", count(counts.n_unreadable_files, "file"));
    }
    if counts.n_refused > 0 {
        sentence += &format!("; {} not compared with dense, as the rows say", counts.n_refused);
    }
    sentence + "."
}

fn perplexity_finding(table: &PerplexityTable) -> Option<String> {
    let PerplexityTable { model, dataset, protocol, rows } = table;
    let dense = newest_dense(rows)?;
    let n_windows = count(dense.measured.n_windows, "window");
    let mut sentence = format!(
        "{model} on {dataset} ({protocol}, {n_windows}): dense perplexity {}",
        significant(dense.measured.perplexity?, 5)
    );
    if let Some((row, ratio)) = worst(&ratios(rows, dense, Policy::Static)) {
        sentence +=
            &format!("; the dearest static cut ({}) costs {}", name(row), times(row, ratio));
    }
    if let Some((row, ratio)) = at_highest_sparsity(&ratios(rows, dense, Policy::Dynamic)) {
        sentence +=
            &format!("; the cheapest dynamic choice ({}) costs {}", name(row), times(row, ratio));
    }
    Some(sentence + ".")
}

/// How many entries of the hidden are zero anyway; nothing for a model without feed-forward
/// neurons, of which no cell drops any.
fn natural_sparsity(table: &PerplexityTable) -> Option<String> {
    let dense = newest_dense(&table.rows)?;
    let mut ffn = table.rows.iter().filter(|row| is_of(row, Part::Ffn));
    let has_neurons = ffn.any(|row| row.shares.reached_sparsity > 0.0);
    has_neurons.then(|| {
        format!(
            "With nothing dropped, {} of the entries of its feed-forward layers are exactly zero.",
            percent(dense.shares.natural_sparsity)
        )
    })
}

/// One set for all tokens against a set for each, at the largest sparsity that both have.
fn static_against_dynamic(table: &PerplexityTable) -> Option<String> {
    let pair = pairs(table).into_iter().next_back()?;
    let fixed = pair.fixed.measured.against_dense.compared()?.ratio;
    let dynamic = pair.dynamic.measured.against_dense.compared()?.ratio;
    let unequal = pair.unequal().map(|flag| format!(" ({flag})")).unwrap_or_default();
    Some(format!(
        "With {} of the neurons dropped ({}), one kept set for the whole run (static) gives {} \
         times the perplexity of a set for every token (dynamic): {} against {} × dense{unequal}.",
        percent(pair.sparsity),
        name(pair.fixed),
        significant(fixed / dynamic, 3),
        significant(fixed, 4),
        significant(dynamic, 4),
    ))
}

/// The shortest and the longest window of the line with the largest sparsity.
fn dial_ends(table: &PerplexityTable, dial: &Dial) -> Option<String> {
    let lines = dial.rows.iter().filter(|row| (row.score, row.rule) == (SCORE, Rule::WindowMean));
    line_ends(table, lines.max_by(|a, b| a.sparsity.total_cmp(&b.sparsity))?)
}

/// What a line of a dial costs at its shortest and at its longest window.
pub(crate) fn line_ends(table: &PerplexityTable, line: &DialRow) -> Option<String> {
    let (first, last) = (line.values.first()?, line.values.last()?);
    if first.window == last.window {
        return None;
    }
    let end = |value: &DialValue| {
        let row = table.rows.iter().find(|row| row.cell_id == value.cell_id)?;
        Some(format!("{} at W={}", times(row, value.ratio), value.window))
    };
    let mode = line.mode.map(|mode| format!(", {mode}")).unwrap_or_default();
    Some(format!(
        "Keeping each set for W tokens (κ={}, {}, {}{mode}) costs {} and {}.",
        shortest_decimal(line.sparsity),
        line.score,
        line.rule,
        end(first)?,
        end(last)?
    ))
}

type Rated<'a, M> = Vec<(&'a Row<M>, f64)>;

/// Rows that prune the FFN by a policy, compared with `dense`, with their perplexity ratio.
/// Controls (`random`, `reversed`) are left out where there is anything else: that a control is bad
/// is no finding.
fn ratios<'a>(
    rows: &'a [Row<Perplexity>],
    dense: &Row<Perplexity>,
    policy: Policy,
) -> Rated<'a, Perplexity> {
    let of_policy = |row: &&Row<Perplexity>| row.cell.treatment.policy == policy;
    let rows = rows.iter().filter(|row| is_of(row, Part::Ffn)).filter(of_policy);
    let rated = rows.filter_map(|row| {
        let compared = row.measured.against_dense.compared()?;
        (compared.dense_cell_id == dense.cell_id).then_some((row, compared.ratio))
    });
    without_controls(rated.collect())
}

fn without_controls<M>(rated: Rated<'_, M>) -> Rated<'_, M> {
    let is_control =
        |row: &Row<M>| matches!(row.cell.treatment.score, Some(Score::Random | Score::Reversed));
    if rated.iter().all(|(row, _)| is_control(row)) {
        return rated;
    }
    rated.into_iter().filter(|(row, _)| !is_control(row)).collect()
}

/// The largest value; the first of equals.
fn worst<'a, M>(rated: &Rated<'a, M>) -> Option<(&'a Row<M>, f64)> {
    rated.iter().rev().copied().max_by(|a, b| a.1.total_cmp(&b.1))
}

/// The smallest value at the highest κ; the first of equals.
fn at_highest_sparsity<'a, M>(rated: &Rated<'a, M>) -> Option<(&'a Row<M>, f64)> {
    let sparsity = |row: &Row<M>| row.cell.treatment.sparsity;
    rated
        .iter()
        .copied()
        .min_by(|a, b| sparsity(b.0).total_cmp(&sparsity(a.0)).then(a.1.total_cmp(&b.1)))
}

/// `κ=0.9, magnitude`.
fn name<M>(row: &Row<M>) -> String {
    let treatment = &row.cell.treatment;
    let score = treatment.score.map_or("no score", |score| score.as_str());
    format!("κ={}, {score}", shortest_decimal(treatment.sparsity))
}

/// `4.832 × dense [4.1, 5.6]`.
pub(crate) fn times(row: &Row<Perplexity>, ratio: f64) -> String {
    let interval = match &row.measured.against_dense {
        AgainstDense::Compared(compared) => compared.lower.zip(compared.upper),
        _ => None,
    };
    let ratio = significant(ratio, 4);
    match interval {
        Some((lower, upper)) => {
            format!("{ratio} × dense [{}, {}]", significant(lower, 4), significant(upper, 4))
        }
        None => format!("{ratio} × dense"),
    }
}

fn accuracy_finding(table: &AccuracyTable) -> Option<String> {
    let AccuracyTable { model, dataset, protocol, rows } = table;
    let dense = newest_dense(rows)?;
    let mut sentence = format!("{model} on {dataset} ({protocol}): dense {}", correct(dense));
    let rated: Rated<'_, Accuracy> = rows
        .iter()
        .filter(|row| is_of(row, Part::Ffn) && row.cell.treatment.policy == Policy::Dynamic)
        .filter_map(|row| {
            let compared = row.measured.against_dense.compared()?;
            // The smallest loss, as the smallest ratio above.
            (compared.dense_cell_id == dense.cell_id).then_some((row, -compared.difference))
        })
        .collect();
    if let Some((row, _)) = at_highest_sparsity(&without_controls(rated))
        && let Some(difference) = row.measured.against_dense.compared()
    {
        let at = at_accuracy(row, difference);
        let p = p_value(difference.mcnemar_p);
        sentence += &format!("; dynamic at {} {at}, McNemar p = {p}", name(row));
    }
    Some(sentence + ".")
}

/// `98/300 = 32.7 % [27.6 %, 38.2 %], -12.0 points [-15.1, -9.2]`.
pub(crate) fn at_accuracy(row: &Row<Accuracy>, difference: &AccuracyDifference) -> String {
    format!(
        "{}, {} points [{}, {}]",
        correct(row),
        points(difference.difference),
        points(difference.lower),
        points(difference.upper),
    )
}

/// `98/300 = 32.7 % [27.6 %, 38.2 %]`.
fn correct(row: &Row<Accuracy>) -> String {
    let Accuracy { n_correct, n_items, accuracy, lower, upper, .. } = &row.measured;
    let (accuracy, lower, upper) = (percent(*accuracy), percent(*lower), percent(*upper));
    format!("{n_correct}/{n_items} = {accuracy} [{lower}, {upper}]")
}
