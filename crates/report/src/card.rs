//! What the card of a written model says of its numbers, as Markdown (`--card`).

use std::fmt::Write as _;

use anyhow::{Context, Result};
use evidence::Run;
use judgement::measured::{Against, Measured, MeasuredRow, WithInterval, measured};
use plan::Measure;

use crate::format::{NOTHING, percent, points, significant};

/// The tables of the recipe of a cell, and what was not measured.
///
/// # Errors
/// No run has such a cell.
pub(crate) fn of(runs: &[Run], id: &str) -> Result<String> {
    let found = runs.iter().find_map(|run| Some((run, measured(run, id)?)));
    let (run, Measured { code_version, rows }) =
        found.with_context(|| format!("no results of the cell {id}"))?;
    let mut text = format!(
        "By the run {} (code {code_version}), of the model in memory with weights in F32, before it was \
         written; 95 % intervals: Wilson's of shares, Newcombe's of their paired differences, a paired bootstrap \
         over windows of ratios.\n",
        run.name
    );
    let (shares, losses): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.is_share());
    if !losses.is_empty() {
        text += "\n| text | protocol | windows | perplexity | dense | × dense |\n\
                 | --- | --- | --: | --: | --: | --: |\n";
        losses.iter().for_each(|row| line(row, &mut text));
    }
    if !shares.is_empty() {
        text += "\n| items | protocol | n | right | dense | points to dense |\n\
                 | --- | --- | --: | --: | --: | --: |\n";
        shares.iter().for_each(|row| line(row, &mut text));
    }
    let has = |measure: Measure| rows.iter().any(|row| row.protocol.measure() == measure);
    let missing: Vec<&str> = [
        (Measure::MeanLoss, "perplexity"),
        (Measure::Proportion, "last words"),
        (Measure::Choice, "tasks of choices"),
    ]
    .into_iter()
    .filter(|(measure, _)| !has(*measure))
    .map(|(_, what)| what)
    .chain(["other texts and tasks than these", "speed", "what it says when it is asked to go on"])
    .collect();
    let _ = writeln!(text, "\nNot measured: {}.", missing.join(", "));
    Ok(text)
}

fn line(row: &MeasuredRow, text: &mut String) {
    let (value, dense, difference) = match row.is_share() {
        true => (shown(row.value, percent), dense_of(row, percent), difference_of(row, points)),
        false => {
            let digits = |value: f64| significant(value, 5);
            let times = |value: f64| significant(value, 4);
            (shown(row.value, digits), dense_of(row, digits), difference_of(row, times))
        }
    };
    let MeasuredRow { dataset, protocol, n, offset, .. } = row;
    let n = if *offset == 0 { n.to_string() } else { format!("{n} from {offset}") };
    let _ = writeln!(text, "| {dataset} | {protocol} | {n} | {value} | {dense} | {difference} |");
}

fn shown(number: WithInterval, show: impl Fn(f64) -> String) -> String {
    let value = show(number.value);
    match number.limits {
        Some((lower, upper)) => format!("{value} ({} to {})", show(lower), show(upper)),
        None => value,
    }
}

fn dense_of(row: &MeasuredRow, show: impl Fn(f64) -> String) -> String {
    match row.against {
        Against::Compared { dense, .. } => show(dense),
        Against::Nothing(_) => NOTHING.to_owned(),
    }
}

fn difference_of(row: &MeasuredRow, show: impl Fn(f64) -> String) -> String {
    match &row.against {
        Against::Compared { difference, .. } => shown(*difference, show),
        Against::Nothing(why) => why.clone(),
    }
}
