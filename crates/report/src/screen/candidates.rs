//! What matters most, each in one sentence with its numbers and their intervals.

use evidence::Row;
use judgement::atlas::Mean;
use judgement::notable::{Candidate, Notable, Ratio, notable};
use judgement::perplexity::{Perplexity, PerplexityTable};
use judgement::tasks::{MeanDifference, TaskMean, TaskRow, TaskTable, TaskVerdict};
use judgement::{Summary, accuracy};
use plan::{Policy, Score, shortest_decimal};

use super::measured::{bracket, short, words};
use crate::format::{count, percent, points, significant};
use crate::sentences::{unequal, with_limits};
use crate::units::units;

/// All candidates of a run, in words.
pub(super) fn of(summary: &Summary) -> Vec<Candidate<String>> {
    notable(summary).into_iter().map(|own| own.map(|content| sentence(&content))).collect()
}

fn place(table: &PerplexityTable) -> String {
    format!("{} on {} ({})", table.model, table.dataset, table.protocol)
}

fn sentence(own: &Notable<'_>) -> String {
    match own {
        Notable::StaticAgainstDynamic { table, contrast, fixed, dynamic } => {
            let unequal = contrast.unequal().map(|own| format!(" ({})", unequal(&own)));
            format!(
                "{}: {} of the neurons dropped for good cost {}, dropped token by token {}{}.",
                place(table),
                percent(contrast.sparsity),
                words(*fixed),
                short(*dynamic),
                unequal.unwrap_or_default(),
            )
        }
        Notable::Dial { table, part, line, first, last } => {
            let mode = line.mode.map(|mode| format!(" ({mode})")).unwrap_or_default();
            let part = units(*part);
            format!(
                "{}: a set of {part}{mode} kept for W tokens (κ={}, {}) costs {} at W={} and {} at W={}.",
                place(table),
                shortest_decimal(line.sparsity),
                line.score,
                words(first.1),
                first.0,
                short(last.1),
                last.0,
            )
        }
        Notable::Bytes { recipes, row, share, ratio } => format!(
            "{} on {} ({}): {} takes {} of the dense model's bytes and costs {}.",
            recipes.model,
            recipes.dataset,
            recipes.protocol,
            row.label,
            percent(*share),
            words(*ratio),
        ),
        Notable::Methods { recipes, strength, best, worst } => {
            let strength = match strength.contains(':') {
                true => (*strength).to_owned(),
                false => format!("κ={strength}"),
            };
            format!(
                "{} on {} ({}): weights cut to {strength} by {} cost {}, by {} {}.",
                recipes.model,
                recipes.dataset,
                recipes.protocol,
                best.0,
                words(best.1),
                worst.0,
                short(worst.1),
            )
        }
        Notable::LastWords { table, dense, best } => last_words(table, dense, best),
        Notable::Tasks { table, dense, ends } => tasks(table, dense, ends),
        Notable::State { table, sparsity, fixed, dynamic } => {
            state(table, *sparsity, [*fixed, *dynamic])
        }
        Notable::ByEffect { table, quadrant, sparsity, cheap, aware } => format!(
            "{} on {} ({}), {} at κ={}: chosen by size costs at best {} ({}), chosen by effect {} ({}).",
            table.model,
            table.dataset,
            table.protocol,
            quadrant.name(),
            shortest_decimal(*sparsity),
            words(cheap.1),
            cheap.0,
            short(aware.1),
            aware.0,
        ),
        Notable::Importance { entry, means } => {
            let means = means.iter().map(|((first, second), mean)| {
                format!("corr({}, {}) {}", first.as_str(), second.as_str(), with_limits(mean))
            });
            format!(
                "{} on {}: {} (Spearman, mean of {}).",
                entry.model,
                entry.dataset,
                means.collect::<Vec<_>>().join(", "),
                count(entry.n_sites, "site"),
            )
        }
        Notable::KeptSets { overlap, first, last } => format!(
            "{} on {}: kept sets (κ={}, {}) {} apart share {} of their neurons, {} apart {}; by chance {}.",
            overlap.model,
            overlap.dataset,
            shortest_decimal(overlap.sparsity),
            overlap.score,
            count(first.lag_tokens as usize, "token"),
            share(&first.overlap),
            last.lag_tokens,
            share(&last.overlap),
            percent(first.by_chance),
        ),
        Notable::Dense { table, perplexity, n_windows } => format!(
            "{}: dense perplexity {} over {}; nothing dropped was compared with it.",
            place(table),
            significant(*perplexity, 5),
            count(*n_windows, "window"),
        ),
    }
}

/// `61.0 % [58.2 %, 63.9 %]`
fn share(mean: &Mean) -> String {
    let limits = mean.lower.zip(mean.upper);
    let limits =
        limits.map(|(lower, upper)| format!(" {}", bracket(&percent(lower), &percent(upper))));
    format!("{}{}", percent(mean.value), limits.unwrap_or_default())
}

fn last_words(
    table: &accuracy::AccuracyTable,
    dense: &Row<accuracy::Accuracy>,
    best: &[(Policy, &Row<accuracy::Accuracy>, &accuracy::AccuracyDifference)],
) -> String {
    let ways = best.iter().map(|(policy, row, own)| {
        let how = if *policy == Policy::Static { "for good" } else { "token by token" };
        format!(
            "{how} {} points {} (κ={}, {})",
            points(own.difference),
            bracket(&points(own.lower), &points(own.upper)),
            shortest_decimal(row.key.sparsity.get()),
            row.key.score.map_or("no score", Score::as_str),
        )
    });
    let accuracy::Accuracy { n_correct, n_items, accuracy, .. } = &dense.measured;
    format!(
        "{} on {} ({}): {n_correct}/{n_items} last words right = {}; neurons dropped {}.",
        table.model,
        table.dataset,
        table.protocol,
        percent(*accuracy),
        ways.collect::<Vec<_>>().join(", "),
    )
}

fn tasks(table: &TaskTable, dense: &TaskMean, ends: &[(&TaskRow, &MeanDifference)]) -> String {
    let on = count(dense.n_tasks, "task");
    let mut text =
        format!("{} on {on}: dense {} right in the mean", table.model, percent(dense.value));
    let last = ends.len().saturating_sub(1);
    for (index, (row, own)) in ends.iter().enumerate() {
        let which = match (index, last) {
            (_, 0) => "",
            (0, _) => " at best",
            _ => " at worst",
        };
        let limits = own.lower.zip(own.upper);
        let limits = limits
            .map(|(lower, upper)| format!(" {}", bracket(&points(lower), &points(upper))))
            .unwrap_or_default();
        let joint = if index == 0 { ";" } else { "," };
        text +=
            &format!("{joint}{which} {}{limits} points ({})", points(own.difference), row.label);
    }
    if !ends.is_empty() {
        let [differs, same] =
            [TaskVerdict::Differs, TaskVerdict::Equivalent].map(|own| table.n_with(own));
        let over = ends.first().map_or(0, |(_, own)| own.n_tasks);
        if over < dense.n_tasks {
            text += &format!(" over {}", count(over, "task"));
        }
        text += &format!(
            "; of {} {differs} differ, {same} are equivalent",
            count(table.n_tests, "comparison")
        );
    }
    text + "."
}

fn state(
    table: &PerplexityTable,
    sparsity: f64,
    ways: [Option<(&Row<Perplexity>, Ratio)>; 2],
) -> String {
    let ways = ["for good", "token by token"].into_iter().zip(ways).filter_map(|(how, way)| {
        let (row, ratio) = way?;
        Some(format!("{how} {} ({})", words(ratio), chosen_by(row)))
    });
    format!(
        "{}: {} of the state channels dropped cost at best {}.",
        place(table),
        percent(sparsity),
        ways.collect::<Vec<_>>().join(", ")
    )
}

/// `ghost, read`, `state-weight`.
fn chosen_by(row: &Row<Perplexity>) -> String {
    let score = row.key.score.map(|score| score.to_string());
    let mode = row.key.mode.map(|mode| mode.to_string());
    let how = mode.or(row.key.recalibration.map(|recalibration| recalibration.to_string()));
    score.into_iter().chain(how).collect::<Vec<_>>().join(", ")
}
