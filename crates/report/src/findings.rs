//! The sentences that open a report, generated from its tables.

use plan::{Policy, Score, shortest_decimal};

use crate::accuracy::{Accuracy, AccuracyTable};
use crate::baseline::AgainstDense;
use crate::format::{count, p_value, percent, points, significant};
use crate::perplexity::{Perplexity, PerplexityTable};
use crate::row::Row;
use crate::summary::Counts;

/// One finding a table that has a dense cell.
pub(crate) fn of(perplexity: &[PerplexityTable], accuracy: &[AccuracyTable]) -> Vec<String> {
    let perplexity = perplexity.iter().filter_map(perplexity_finding);
    perplexity.chain(accuracy.iter().filter_map(accuracy_finding)).collect()
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
        sentence += &format!("; the worst static cut ({}) costs {}", name(row), times(row, ratio));
    }
    if let Some((row, ratio)) = at_highest_sparsity(&ratios(rows, dense, Policy::Dynamic)) {
        sentence += &format!("; dynamic at {} costs {}", name(row), times(row, ratio));
    }
    Some(sentence + ".")
}

type Rated<'a, M> = Vec<(&'a Row<M>, f64)>;

/// The dense row that findings are about: where code or limits changed between orders there are
/// several, and each row is compared with its own.
fn newest_dense<M>(rows: &[Row<M>]) -> Option<&Row<M>> {
    let dense = rows.iter().filter(|row| row.cell.treatment.policy == Policy::Dense);
    dense.max_by_key(|row| (row.started_at_ms, &row.cell_id))
}

/// Rows of a policy compared with `dense`, with their perplexity ratio. Controls (`random`,
/// `reversed`) are left out where there is anything else: that a control is bad is no finding.
fn ratios<'a>(
    rows: &'a [Row<Perplexity>],
    dense: &Row<Perplexity>,
    policy: Policy,
) -> Rated<'a, Perplexity> {
    let rows = rows.iter().filter(|row| row.cell.treatment.policy == policy);
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
fn times(row: &Row<Perplexity>, ratio: f64) -> String {
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
        .filter(|row| row.cell.treatment.policy == Policy::Dynamic)
        .filter_map(|row| {
            let compared = row.measured.against_dense.compared()?;
            // The smallest loss, as the smallest ratio above.
            (compared.dense_cell_id == dense.cell_id).then_some((row, -compared.difference))
        })
        .collect();
    if let Some((row, _)) = at_highest_sparsity(&without_controls(rated))
        && let Some(difference) = row.measured.against_dense.compared()
    {
        sentence += &format!(
            "; dynamic at {} {}, {} points [{}, {}], McNemar p = {}",
            name(row),
            correct(row),
            points(difference.difference),
            points(difference.lower),
            points(difference.upper),
            p_value(difference.mcnemar_p)
        );
    }
    Some(sentence + ".")
}

/// `98/300 = 32.7 % [27.6 %, 38.2 %]`.
fn correct(row: &Row<Accuracy>) -> String {
    let Accuracy { n_correct, n_items, accuracy, lower, upper, .. } = &row.measured;
    let (accuracy, lower, upper) = (percent(*accuracy), percent(*lower), percent(*upper));
    format!("{n_correct}/{n_items} = {accuracy} [{lower}, {upper}]")
}
