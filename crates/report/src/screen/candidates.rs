//! What a run found that may stand on the screen: every question of every model and text, in one sentence
//! with its numbers and their intervals.

use plan::{Part, Policy, Rule, Score, shortest_decimal};

use super::choose::{Candidate, Question};
use super::measured::{Effect, Times, bracket};
use crate::format::{count, percent, points, significant};
use crate::sentences::{unequal, with_limits};
use evidence::{Quantity, Row, newest_dense};
use judgement::Summary;
use judgement::accuracy::{Accuracy, AccuracyTable};
use judgement::atlas::{Atlas, Entry, Mean, Measure};
use judgement::contrast::contrasts;
use judgement::dial::{Dial, DialRow, DialValue};
use judgement::extremes::is_control;
use judgement::perplexity::{Perplexity, PerplexityTable};
use judgement::quadrants::{self, Kind, Line, Quadrant, Quadrants};

/// All candidates of a run.
pub(super) fn of(summary: &Summary) -> Vec<Candidate> {
    let tables = &summary.perplexity_tables;
    let mut all: Vec<Candidate> = Vec::new();
    all.extend(tables.iter().filter_map(static_against_dynamic));
    all.extend(summary.dials.iter().filter_map(|own| dial(own, tables)));
    all.extend(summary.accuracy_tables.iter().filter_map(last_words));
    all.extend(tables.iter().filter_map(state));
    all.extend(quadrants::of_each_model(&summary.quadrants).into_iter().flat_map(by_effect));
    if summary.atlas.opens_page {
        all.extend(of_atlas(&summary.atlas));
    }
    if all.is_empty() {
        all.extend(tables.iter().filter_map(dense));
    }
    all
}

fn candidate(question: Question, model: &str, effect: Effect, text: String) -> Candidate {
    let Effect { sure, estimate } = effect;
    Candidate { question, model: model.to_owned(), sure, estimate, text }
}

fn place(table: &PerplexityTable) -> String {
    format!("{} on {} ({})", table.model, table.dataset, table.protocol)
}

/// One set for the whole run against one for every token, at the largest sparsity that both have.
fn static_against_dynamic(table: &PerplexityTable) -> Option<Candidate> {
    let dense = newest_dense(&table.rows)?;
    let pair = contrasts(table).into_iter().next_back()?;
    let (fixed, dynamic) = (Times::of(pair.fixed, dense)?, Times::of(pair.dynamic, dense)?);
    let unequal = pair.unequal().map(|own| format!(" ({})", unequal(&own))).unwrap_or_default();
    let text = format!(
        "{}: {} of the neurons dropped for good cost {}, dropped token by token {}{unequal}.",
        place(table),
        percent(pair.sparsity),
        fixed.words(),
        dynamic.short(),
    );
    let effect = Effect::between(fixed, dynamic);
    Some(candidate(Question::StaticAgainstDynamic, &table.model, effect, text))
}

/// The shortest and the longest window of the dial whose ends are furthest apart, at the largest sparsity.
fn dial(dial: &Dial, tables: &[PerplexityTable]) -> Option<Candidate> {
    let table = tables.iter().find(|table| dial.is_of(table))?;
    let dense = newest_dense(&table.rows)?;
    let lines = || dial.rows.iter().filter(|row| row.rule == Rule::WindowMean);
    let largest = lines().map(|row| row.sparsity).max_by(f64::total_cmp)?;
    let at_largest = lines().filter(|row| row.sparsity.total_cmp(&largest).is_eq());
    let rated = at_largest.filter(|row| !is_control(Some(row.score))).filter_map(|row| {
        let end = |value: &DialValue| {
            let cell = table.rows.iter().find(|row| row.cell_id == value.cell_id)?;
            Some((value.window, Times::of(cell, dense)?))
        };
        let (first, last) = (end(row.values.first()?)?, end(row.values.last()?)?);
        (first.0 != last.0).then(|| (row, first, last, Effect::between(first.1, last.1)))
    });
    type Ends<'a> = (&'a DialRow, (usize, Times), (usize, Times), Effect);
    let order = |a: &Ends<'_>, b: &Ends<'_>| a.3.sure.total_cmp(&b.3.sure);
    // Of equals the first, where `max_by` takes the last.
    let rated: Vec<Ends<'_>> = rated.collect();
    let (row, first, last, effect) = rated.into_iter().rev().max_by(order)?;
    let part = match dial.part {
        Part::Ffn => "neurons".to_owned(),
        Part::State => format!("state channels{}", mode(row)),
    };
    let text = format!(
        "{}: a set of {part} kept for W tokens (κ={}, {}) costs {} at W={} and {} at W={}.",
        place(table),
        shortest_decimal(row.sparsity),
        row.score,
        first.1.words(),
        first.0,
        last.1.short(),
        last.0,
    );
    Some(candidate(Question::Dial, &table.model, effect, text))
}

fn mode(row: &DialRow) -> String {
    row.mode.map(|mode| format!(" ({mode})")).unwrap_or_default()
}

/// Last words at the largest sparsity: the best choice of each policy.
fn last_words(table: &AccuracyTable) -> Option<Candidate> {
    let dense = newest_dense(&table.rows)?;
    let compared = |row: &'_ Row<Accuracy>| {
        let compared = row.measured.against_dense.compared()?;
        (compared.dense_cell_id == dense.cell_id).then(|| compared.clone())
    };
    let is_meant = |row: &&Row<Accuracy>| {
        row.key.prunes(Part::Ffn) && !is_control(row.key.score) && compared(row).is_some()
    };
    let at_largest = |policy: Policy| {
        let rows = || table.rows.iter().filter(is_meant);
        let of_policy = || rows().filter(move |row| row.key.policy == policy);
        let sparsity = |row: &Row<Accuracy>| row.key.sparsity.get();
        of_policy().filter_map(|row| Some((row, compared(row)?))).max_by(|a, b| {
            let by_sparsity = sparsity(a.0).total_cmp(&sparsity(b.0));
            by_sparsity.then(a.1.difference.total_cmp(&b.1.difference))
        })
    };
    let ways = [(Policy::Dynamic, "token by token"), (Policy::Static, "for good")];
    let found: Vec<_> =
        ways.into_iter().filter_map(|(policy, how)| Some((how, at_largest(policy)?))).collect();
    let effects = found.iter().map(|(_, (_, own))| Effect::of_accuracy(dense, own));
    let effect = effects.reduce(Effect::larger)?;
    let words = found.iter().map(|(how, (row, own))| {
        format!(
            "{how} {} points {} (κ={}, {})",
            points(own.difference),
            bracket(&points(own.lower), &points(own.upper)),
            shortest_decimal(row.key.sparsity.get()),
            row.key.score.map_or("no score", Score::as_str),
        )
    });
    let words: Vec<String> = words.collect();
    let Accuracy { n_correct, n_items, accuracy, .. } = &dense.measured;
    let text = format!(
        "{} on {} ({}): {n_correct}/{n_items} last words right = {}; neurons dropped {}.",
        table.model,
        table.dataset,
        table.protocol,
        percent(*accuracy),
        words.join(", "),
    );
    Some(candidate(Question::LastWords, &table.model, effect, text))
}

/// State channels: the cheapest cut for the whole run and the cheapest choice for every token, at the
/// largest sparsity that both have; else what one of them costs.
fn state(table: &PerplexityTable) -> Option<Candidate> {
    let dense = newest_dense(&table.rows)?;
    let rated = |policy: Policy| {
        let rows = table.rows.iter().filter(move |row| {
            let treatment = &row.key;
            row.key.prunes(Part::State)
                && treatment.policy == policy
                && !is_control(treatment.score)
        });
        let rated = rows.filter_map(|row| Some((row, Times::of(row, dense)?)));
        rated.collect::<Vec<(&Row<Perplexity>, Times)>>()
    };
    let (fixed, dynamic) = (rated(Policy::Static), rated(Policy::Dynamic));
    let sparsity = |row: &Row<Perplexity>| row.key.sparsity.get();
    let has = |rows: &[(&Row<Perplexity>, Times)], own: f64| {
        rows.iter().any(|(row, _)| sparsity(row).total_cmp(&own).is_eq())
    };
    let all = || fixed.iter().chain(&dynamic).map(|(row, _)| sparsity(row));
    let shared = all().filter(|&own| has(&fixed, own) && has(&dynamic, own));
    let sparsity_shown = shared.max_by(f64::total_cmp).or_else(|| all().max_by(f64::total_cmp))?;
    let best = |rows: &[(&'_ Row<Perplexity>, Times)]| {
        let at = rows.iter().filter(|(row, _)| sparsity(row).total_cmp(&sparsity_shown).is_eq());
        let best = at.min_by(|a, b| a.1.value().total_cmp(&b.1.value()))?;
        Some((chosen_by(best.0), best.1))
    };
    let (fixed, dynamic) = (best(&fixed), best(&dynamic));
    let effect = match (&fixed, &dynamic) {
        (Some(fixed), Some(dynamic)) => Effect::between(fixed.1, dynamic.1),
        (Some(only), None) | (None, Some(only)) => Effect::between(only.1, Times::DENSE),
        (None, None) => return None,
    };
    let ways = [("for good", fixed), ("token by token", dynamic)];
    let words = ways.into_iter().filter_map(|(how, way)| {
        let (score, times) = way?;
        Some(format!("{how} {} ({score})", times.words()))
    });
    let text = format!(
        "{}: {} of the state channels dropped cost at best {}.",
        place(table),
        percent(sparsity_shown),
        words.collect::<Vec<_>>().join(", ")
    );
    Some(candidate(Question::State, &table.model, effect, text))
}

/// `ghost, read`, `state-weight`.
fn chosen_by(row: &Row<Perplexity>) -> String {
    let treatment = &row.key;
    let score = treatment.score.map(|score| score.to_string());
    let mode = treatment.mode.map(|mode| mode.to_string());
    let how = mode.or(treatment.recalibration.map(|recalibration| recalibration.to_string()));
    score.into_iter().chain(how).collect::<Vec<_>>().join(", ")
}

/// In each quadrant the best score of a size alone against the best one that looks at the effect.
fn by_effect(table: &Quadrants) -> Vec<Candidate> {
    let Some(sparsity) = table.shared_sparsity() else { return Vec::new() };
    let in_quadrant = |quadrant: Quadrant| {
        let best = |kind: Kind| {
            let own = |line: &&Line| (line.quadrant, line.kind) == (quadrant, kind);
            let rated = table.lines.iter().filter(own);
            let rated =
                rated.filter_map(|line| Some((line.score, Times::of_value(line.at(sparsity)?))));
            rated.min_by(|a, b| a.1.value().total_cmp(&b.1.value()))
        };
        let (cheap, aware) = (best(Kind::Cheap)?, best(Kind::OutputAware)?);
        let text = format!(
            "{} on {} ({}), {} at κ={}: chosen by size costs at best {} ({}), chosen by effect {} ({}).",
            table.model,
            table.dataset,
            table.protocol,
            quadrant.name(),
            shortest_decimal(sparsity),
            cheap.1.words(),
            cheap.0,
            aware.1.short(),
            aware.0,
        );
        let effect = Effect::between(cheap.1, aware.1);
        Some(candidate(Question::ByEffect, &table.model, effect, text))
    };
    table.quadrants().into_iter().filter_map(in_quadrant).collect()
}

/// What scores say of each other, and how fast kept sets change.
fn of_atlas(atlas: &Atlas) -> Vec<Candidate> {
    let mut all: Vec<Candidate> = atlas.entries.iter().filter_map(importance).collect();
    let kept = atlas.overlaps.iter().filter(|own| own.score != Score::Random).filter_map(|own| {
        let (first, last) = (own.lags.first()?, own.lags.last()?);
        let share = |mean: &Mean| {
            let limits = mean.lower.zip(mean.upper);
            let limits = limits.map(|(lower, upper)| format!(" {}", bracket(&percent(lower), &percent(upper))));
            format!("{}{}", percent(mean.value), limits.unwrap_or_default())
        };
        let text = format!(
            "{} on {}: kept sets (κ={}, {}) {} apart share {} of their neurons, {} apart {}; by chance {}.",
            own.model,
            own.dataset,
            shortest_decimal(own.sparsity),
            own.score,
            count(first.lag_tokens as usize, "token"),
            share(&first.overlap),
            last.lag_tokens,
            share(&last.overlap),
            percent(first.by_chance),
        );
        let effect = Effect::of_share(&first.overlap, first.by_chance);
        Some(candidate(Question::KeptSets, &own.model, effect, text))
    });
    all.extend(kept);
    all
}

/// The correlations of a text that tell whether what is large is important.
fn importance(entry: &Entry) -> Option<Candidate> {
    let pairs: [(Quantity, Quantity); 3] = match entry.part {
        Part::Ffn => [
            (Quantity::Magnitude, Quantity::Weight),
            (Quantity::Magnitude, Quantity::Impact),
            (Quantity::Magnitude, Quantity::Ablation),
        ],
        Part::State => [
            (Quantity::StateWeight, Quantity::StateEnergy),
            (Quantity::StateWeight, Quantity::Ghost),
            (Quantity::StateWeight, Quantity::Ablation),
        ],
    };
    let means = pairs.into_iter().filter_map(|(first, second)| {
        let mean = entry.correlation(first, second, Measure::Spearman)?.mean?;
        Some((format!("corr({}, {})", first.as_str(), second.as_str()), mean))
    });
    let means: Vec<_> = means.collect();
    let effect =
        means.iter().map(|(_, mean)| Effect::of_correlation(mean)).reduce(Effect::larger)?;
    let words: Vec<String> =
        means.iter().map(|(name, mean)| format!("{name} {}", with_limits(mean))).collect();
    let text = format!(
        "{} on {}: {} (Spearman, mean of {}).",
        entry.model,
        entry.dataset,
        words.join(", "),
        count(entry.n_sites, "site"),
    );
    Some(candidate(Question::Importance, &entry.model, effect, text))
}

/// What a model costs before anything is dropped.
fn dense(table: &PerplexityTable) -> Option<Candidate> {
    let dense = newest_dense(&table.rows)?;
    let text = format!(
        "{}: dense perplexity {} over {}; nothing dropped was compared with it.",
        place(table),
        significant(dense.measured.perplexity?, 5),
        count(dense.measured.n_windows, "window"),
    );
    Some(candidate(Question::Dense, &table.model, Effect { sure: 0.0, estimate: 0.0 }, text))
}
