//! The sentences about the quadrants: in each, the best score that looks at a size alone beside the best
//! one that looks at the output, and chance.

use plan::{Score, shortest_decimal};

use super::{Kind, Line, Measure, Quadrant, Quadrants, unequal_at};
use crate::findings::Finding;
use crate::format::significant;

/// A cheap score suffices when it costs at most this many times what an output-aware one costs.
const SUFFICES: f64 = 1.05;

/// One finding a model.
pub(crate) fn findings(tables: &[Quadrants]) -> Vec<Finding> {
    let of_table = |table: &Quadrants| Some(Finding::of_model(&table.model, finding(table)?));
    of_each_model(tables).into_iter().filter_map(of_table).collect()
}

/// One table a model: of its perplexity tables the one with the most quadrants, of equals the one with the
/// most scores, of equals the first.
pub(crate) fn of_each_model(tables: &[Quadrants]) -> Vec<&Quadrants> {
    let tables = || tables.iter().filter(|table| table.measure == Measure::PerplexityRatio);
    let mut models: Vec<&str> = tables().map(|table| table.model.as_str()).collect();
    models.dedup();
    let of_model = |model: &str| {
        let own = tables().filter(|table| table.model == model);
        own.rev().max_by_key(|table| (table.quadrants().len(), table.lines.len()))
    };
    models.into_iter().filter_map(of_model).collect()
}

/// The sparsity that most scores of all quadrants were run at; of equals the highest.
pub(crate) fn shared_sparsity(table: &Quadrants) -> Option<f64> {
    let quadrants = table.quadrants();
    let has = |quadrant: &Quadrant, sparsity: f64| {
        let mut lines = table.lines.iter().filter(|line| line.quadrant == *quadrant);
        lines.any(|line| line.at(sparsity).is_some())
    };
    let in_all = |sparsity: &&f64| quadrants.iter().all(|quadrant| has(quadrant, **sparsity));
    let n_lines = |sparsity: f64| table.lines.iter().filter(|l| l.at(sparsity).is_some()).count();
    let shared = table.sparsities.iter().filter(in_all);
    shared.max_by(|a, b| n_lines(**a).cmp(&n_lines(**b)).then(a.total_cmp(b))).copied()
}

fn finding(table: &Quadrants) -> Option<String> {
    let quadrants = table.quadrants();
    let sparsity = shared_sparsity(table)?;
    let sentences: Vec<String> =
        quadrants.iter().map(|quadrant| of_quadrant(table, *quadrant, sparsity)).collect();
    let unequal = unequal_at(&table.lines, sparsity);
    let unequal = unequal.map(|flag| format!(" At {flag}.")).unwrap_or_default();
    Some(format!(
        "{} on {} ({}), part × method at κ={}, perplexity × dense: {}.{unequal}",
        table.model,
        table.dataset,
        table.protocol,
        shortest_decimal(sparsity),
        sentences.join("; ")
    ))
}

fn of_quadrant(table: &Quadrants, quadrant: Quadrant, sparsity: f64) -> String {
    let lines = table.lines.iter().filter(|line| line.quadrant == quadrant);
    let rated: Vec<(&Line, f64)> =
        lines.filter_map(|line| Some((line, line.at(sparsity)?.value))).collect();
    let best = |kind: Kind| {
        let of_kind = rated.iter().filter(|(line, _)| line.kind == kind);
        of_kind.min_by(|a, b| a.1.total_cmp(&b.1)).copied()
    };
    let (cheap, aware) = (best(Kind::Cheap), best(Kind::OutputAware));
    let random = rated.iter().find(|(line, _)| line.score == Score::Random);
    let mut words = Vec::new();
    for (what, rated) in [("cheap", cheap), ("output-aware", aware)] {
        words.push(match rated {
            Some((line, value)) => {
                format!("best {what} {} ({})", significant(value, 4), line.score)
            }
            None => format!("no {what} score"),
        });
    }
    words.extend(random.map(|(_, value)| format!("random {}", significant(*value, 4))));
    let verdict = cheap.zip(aware).map(|((_, cheap), (_, aware))| {
        let times = significant(cheap / aware, 3);
        match cheap <= SUFFICES * aware {
            true => format!(": the cheap rule suffices ({times} times the output-aware one)"),
            false => format!(": the cheap rule does not suffice ({times} times)"),
        }
    });
    format!("{}: {}{}", quadrant.name(), words.join(", "), verdict.unwrap_or_default())
}
