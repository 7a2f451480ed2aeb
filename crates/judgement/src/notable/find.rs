//! What a run found that may stand first: every question of every model and text.

use evidence::{Quantity, Row, Wanted};
use plan::{Part, Policy, Rule, Score, Share};

use super::choose::{Candidate, Question};
use super::effect::{Effect, Ratio};
use crate::accuracy::{Accuracy, AccuracyDifference, AccuracyTable};
use crate::atlas::{Atlas, Entry, Lag, Mean, Measure, Overlap};
use crate::contrast::{Contrast, contrasts};
use crate::dial::{Dial, DialRow};
use crate::extremes::{is_control, line_ends, neurons};
use crate::perplexity::{Perplexity, PerplexityRatio, PerplexityTable};
use crate::quadrants::{Kind, Quadrant, Quadrants, of_each_model};
use crate::recipes::{MethodRow, Methods, RecipeRow, Recipes};
use crate::summary::Summary;
use crate::tasks::{MeanDifference, TaskMean, TaskRow, TaskTable};

/// A row with its perplexity as a multiple of dense.
type WithRatio<'a> = (&'a Row<Perplexity>, Ratio);

/// What was found.
#[derive(Debug, Clone)]
pub enum Notable<'a> {
    /// One set for the whole run against one for every token, at the largest sparsity that both have.
    StaticAgainstDynamic {
        /// The table that has both.
        table: &'a PerplexityTable,
        /// The two rows.
        contrast: Contrast<'a>,
        /// What the one set costs.
        fixed: Ratio,
        /// What a set for every token costs.
        dynamic: Ratio,
    },
    /// The ends of the line of a dial whose ends are furthest apart, at the largest sparsity.
    Dial {
        /// The table that has its rows.
        table: &'a PerplexityTable,
        /// The part that is dropped.
        part: Part,
        /// The line.
        line: &'a DialRow,
        /// The shortest window, and what it costs.
        first: (usize, Ratio),
        /// The longest.
        last: (usize, Ratio),
    },
    /// Last words at the largest sparsity: the best choice of each policy.
    LastWords {
        /// The table.
        table: &'a AccuracyTable,
        /// The row that the others are compared with.
        dense: &'a Row<Accuracy>,
        /// The best row of a policy, and what it loses.
        best: Vec<(Policy, &'a Row<Accuracy>, &'a AccuracyDifference)>,
    },
    /// The mean over downstream tasks: dense, and the recipes that lose least and most of it.
    Tasks {
        /// The table.
        table: &'a TaskTable,
        /// Of dense.
        dense: &'a TaskMean,
        /// The best recipe and the worst; one where there is one, none where dense alone was run.
        ends: Vec<(&'a TaskRow, &'a MeanDifference)>,
    },
    /// The cheapest cut of state channels for the whole run and the cheapest choice for every token, at the
    /// largest sparsity that both have; else one of them.
    State {
        /// The table.
        table: &'a PerplexityTable,
        /// What is dropped.
        sparsity: f64,
        /// One set for the whole run.
        fixed: Option<WithRatio<'a>>,
        /// One for every token.
        dynamic: Option<WithRatio<'a>>,
    },
    /// In a quadrant the best score of a size alone against the best one that looks at the effect.
    ByEffect {
        /// The table.
        table: &'a Quadrants,
        /// The quadrant.
        quadrant: Quadrant,
        /// What is dropped.
        sparsity: f64,
        /// The best score of a size.
        cheap: (Score, Ratio),
        /// The best one that looks at the effect.
        aware: (Score, Ratio),
    },
    /// The correlations of a text that tell whether what is large is important.
    Importance {
        /// The text.
        entry: &'a Entry,
        /// What is correlated, and the mean over sites.
        means: Vec<((Quantity, Quantity), Mean)>,
    },
    /// How fast kept sets change.
    KeptSets {
        /// The observation.
        overlap: &'a Overlap,
        /// At the shortest distance.
        first: &'a Lag,
        /// At the longest.
        last: &'a Lag,
    },
    /// The recipe of fewest bytes that costs next to nothing.
    Bytes {
        /// The table.
        recipes: &'a Recipes,
        /// Its row.
        row: &'a RecipeRow,
        /// Its bytes as a share of the dense model's.
        share: f64,
        /// What it costs.
        ratio: Ratio,
    },
    /// The cheapest and the dearest method of cutting equally many weights, controls apart.
    Methods {
        /// The table.
        recipes: &'a Recipes,
        /// κ, or n:m.
        strength: &'a str,
        /// The cheapest, and what it costs.
        best: (&'a str, Ratio),
        /// The dearest.
        worst: (&'a str, Ratio),
    },
    /// What a model costs before anything is dropped.
    Dense {
        /// The table.
        table: &'a PerplexityTable,
        /// Its perplexity.
        perplexity: f64,
        /// Windows of text.
        n_windows: usize,
    },
}

/// All candidates of a run; dense rows only where there is nothing else.
pub fn notable(summary: &Summary) -> Vec<Candidate<Notable<'_>>> {
    let tables = &summary.perplexity_tables;
    let mut all = Vec::new();
    all.extend(tables.iter().filter_map(static_against_dynamic));
    all.extend(summary.dials.iter().filter_map(|own| dial(own, tables)));
    all.extend(summary.accuracy_tables.iter().filter_map(last_words));
    let tasks = || summary.task_tables.iter().filter_map(tasks);
    all.extend(tasks().filter(|(has_recipes, _)| *has_recipes).map(|(_, own)| own));
    all.extend(tables.iter().filter_map(state));
    all.extend(of_each_model(&summary.quadrants).into_iter().flat_map(by_effect));
    if summary.atlas.opens_page {
        all.extend(of_atlas(&summary.atlas));
    }
    all.extend(summary.recipes.iter().filter_map(bytes));
    all.extend(summary.recipes.iter().filter_map(methods));
    if all.is_empty() {
        all.extend(tables.iter().filter_map(dense));
        all.extend(tasks().map(|(_, own)| own));
    }
    all
}

fn candidate<'a>(
    question: Question,
    model: &str,
    effect: Effect,
    content: Notable<'a>,
) -> Candidate<Notable<'a>> {
    Candidate { question, model: model.to_owned(), effect, content }
}

/// What may be lost for bytes to be saved: perplexity up to so many times dense.
const NEXT_TO_NOTHING: f64 = 1.05;

fn ratio_of(own: &PerplexityRatio) -> Ratio {
    Ratio { value: own.ratio, limits: own.lower.zip(own.upper) }
}

fn bytes(recipes: &Recipes) -> Option<Candidate<Notable<'_>>> {
    let dense = recipes.rows.iter().find(|row| row.recipe == "dense")?.stored_bytes;
    let cheap = recipes.rows.iter().filter_map(|row| {
        let ratio = ratio_of(row.against_dense.compared()?);
        let worst = ratio.limits.map_or(ratio.value, |(_, upper)| upper);
        (worst <= NEXT_TO_NOTHING && row.stored_bytes < dense).then_some((row, ratio))
    });
    let (row, ratio) = cheap.min_by_key(|(row, _)| row.stored_bytes)?;
    let share = row.stored_bytes as f64 / dense as f64;
    let saved = -share.ln();
    let effect = Effect { sure: saved, estimate: saved };
    let content = Notable::Bytes { recipes, row, share, ratio };
    Some(candidate(Question::Bytes, &recipes.model, effect, content))
}

/// At the strength where they are furthest apart.
fn methods(recipes: &Recipes) -> Option<Candidate<Notable<'_>>> {
    let of_strength = |own: &'_ Methods| -> Option<(Effect, usize, usize)> {
        let rated = || own.rows.iter().enumerate().filter(|(_, row)| row.method != "random");
        let order = |a: &(usize, &MethodRow), b: &(usize, &MethodRow)| {
            a.1.against_dense.ratio.total_cmp(&b.1.against_dense.ratio)
        };
        let (best, worst) = (rated().min_by(order)?, rated().max_by(order)?);
        let [low, high] = [best.1, worst.1].map(|row| ratio_of(&row.against_dense));
        (best.0 != worst.0).then(|| (Effect::between(high, low), best.0, worst.0))
    };
    let all = recipes.methods.iter().filter_map(|own| Some((own, of_strength(own)?)));
    let (own, (effect, best, worst)) = all.max_by(|a, b| {
        a.1.0.sure.total_cmp(&b.1.0.sure).then(a.1.0.estimate.total_cmp(&b.1.0.estimate))
    })?;
    let [best, worst] = [best, worst].map(|index| {
        let row = &own.rows[index];
        (row.method.as_str(), ratio_of(&row.against_dense))
    });
    let content = Notable::Methods { recipes, strength: &own.strength, best, worst };
    Some(candidate(Question::Methods, &recipes.model, effect, content))
}

/// Whether a recipe was compared, and what there is to say.
fn tasks(table: &TaskTable) -> Option<(bool, Candidate<Notable<'_>>)> {
    let dense = table.dense()?.mean.as_ref()?;
    let compared = table.compared();
    let effects = compared.iter().map(|(_, own)| Effect::of_tasks(own));
    let effect = effects.reduce(Effect::larger).unwrap_or(Effect { sure: 0.0, estimate: 0.0 });
    let mut ends: Vec<_> = compared.first().into_iter().chain(compared.last()).copied().collect();
    ends.truncate(compared.len());
    let content = Notable::Tasks { table, dense, ends };
    Some((!compared.is_empty(), candidate(Question::Tasks, &table.model, effect, content)))
}

fn static_against_dynamic(table: &PerplexityTable) -> Option<Candidate<Notable<'_>>> {
    let contrast = contrasts(table).into_iter().next_back()?;
    let (fixed, dynamic) = (Ratio::of(contrast.fixed)?, Ratio::of(contrast.dynamic)?);
    let content = Notable::StaticAgainstDynamic { table, contrast, fixed, dynamic };
    let effect = Effect::between(fixed, dynamic);
    Some(candidate(Question::StaticAgainstDynamic, &table.model, effect, content))
}

fn dial<'a>(dial: &'a Dial, tables: &'a [PerplexityTable]) -> Option<Candidate<Notable<'a>>> {
    let table = tables.iter().find(|table| dial.is_of(table))?;
    let query = table.query();
    let lines = || dial.rows.iter().filter(|row| row.rule == Rule::WindowMean);
    let largest = lines().map(|row| Share::nearest(row.sparsity)).max()?;
    let at_largest = lines().filter(|row| Share::nearest(row.sparsity) == largest);
    let rated = at_largest.filter(|row| !is_control(Some(row.score))).filter_map(|line| {
        let end = |(window, row): (usize, &Row<Perplexity>)| {
            query.is_comparable(row).then(|| Some((window, Ratio::of(row)?)))?
        };
        let [first, last] = line_ends(table, line)?.map(end);
        let (first, last) = (first?, last?);
        Some((line, first, last, Effect::between(first.1, last.1)))
    });
    // Of equals the first, where `max_by` takes the last.
    let rated: Vec<_> = rated.collect();
    let (line, first, last, effect) =
        rated.into_iter().rev().max_by(|a, b| a.3.sure.total_cmp(&b.3.sure))?;
    let content = Notable::Dial { table, part: dial.part, line, first, last };
    Some(candidate(Question::Dial, &table.model, effect, content))
}

fn last_words(table: &AccuracyTable) -> Option<Candidate<Notable<'_>>> {
    let query = table.query();
    let dense = query.dense()?;
    let best_of = |policy: Policy| {
        let rows = query.rows(neurons(policy)).filter(|row| !is_control(row.key.score));
        let compared = rows.filter_map(|row| Some((policy, row, row.measured.difference()?)));
        compared.max_by(|a, b| {
            let by_sparsity = a.1.key.sparsity.cmp(&b.1.key.sparsity);
            by_sparsity.then(a.2.difference.total_cmp(&b.2.difference))
        })
    };
    let best: Vec<_> = [Policy::Dynamic, Policy::Static].into_iter().filter_map(best_of).collect();
    let effects = best.iter().map(|(_, _, own)| Effect::of_accuracy(dense, own));
    let effect = effects.reduce(Effect::larger)?;
    let content = Notable::LastWords { table, dense, best };
    Some(candidate(Question::LastWords, &table.model, effect, content))
}

fn state(table: &PerplexityTable) -> Option<Candidate<Notable<'_>>> {
    let query = table.query();
    let rated = |policy: Policy| {
        let wanted = Wanted { part: Some(Part::State), policy: Some(policy), ..Wanted::default() };
        let rows = query.rows(wanted).filter(|row| !is_control(row.key.score));
        rows.filter_map(|row| Some((row, Ratio::of(row)?))).collect::<Vec<WithRatio<'_>>>()
    };
    let (fixed, dynamic) = (rated(Policy::Static), rated(Policy::Dynamic));
    let has =
        |rows: &[WithRatio<'_>], own: Share| rows.iter().any(|(row, _)| row.key.sparsity == own);
    let all = || fixed.iter().chain(&dynamic).map(|(row, _)| row.key.sparsity);
    let shared = all().filter(|&own| has(&fixed, own) && has(&dynamic, own));
    let sparsity = shared.max().or_else(|| all().max())?;
    let (fixed, dynamic) = (cheapest(&fixed, sparsity), cheapest(&dynamic, sparsity));
    let effect = match (&fixed, &dynamic) {
        (Some(fixed), Some(dynamic)) => Effect::between(fixed.1, dynamic.1),
        (Some(only), None) | (None, Some(only)) => Effect::between(only.1, Ratio::DENSE),
        (None, None) => return None,
    };
    let content = Notable::State { table, sparsity: sparsity.get(), fixed, dynamic };
    Some(candidate(Question::State, &table.model, effect, content))
}

/// The row of one sparsity that costs least; the first of equals.
fn cheapest<'a>(rows: &[WithRatio<'a>], sparsity: Share) -> Option<WithRatio<'a>> {
    let at = rows.iter().filter(|(row, _)| row.key.sparsity == sparsity);
    at.min_by(|a, b| a.1.value.total_cmp(&b.1.value)).copied()
}

fn by_effect(table: &Quadrants) -> Vec<Candidate<Notable<'_>>> {
    let Some(sparsity) = table.shared_sparsity() else { return Vec::new() };
    let in_quadrant = |quadrant: Quadrant| {
        let best = |kind: Kind| {
            let (line, value) = table.best(quadrant, kind, sparsity)?;
            Some((line.score, Ratio::of_value(value)))
        };
        let (cheap, aware) = (best(Kind::Cheap)?, best(Kind::OutputAware)?);
        let effect = Effect::between(cheap.1, aware.1);
        let content = Notable::ByEffect { table, quadrant, sparsity, cheap, aware };
        Some(candidate(Question::ByEffect, &table.model, effect, content))
    };
    table.quadrants().into_iter().filter_map(in_quadrant).collect()
}

fn of_atlas(atlas: &Atlas) -> Vec<Candidate<Notable<'_>>> {
    let mut all: Vec<_> = atlas.entries.iter().filter_map(importance).collect();
    let overlaps = atlas.overlaps.iter().filter(|own| own.score != Score::Random);
    all.extend(overlaps.filter_map(|overlap| {
        let (first, last) = (overlap.lags.first()?, overlap.lags.last()?);
        let effect = Effect::of_share(&first.overlap, first.by_chance);
        let content = Notable::KeptSets { overlap, first, last };
        Some(candidate(Question::KeptSets, &overlap.model, effect, content))
    }));
    all
}

fn importance(entry: &Entry) -> Option<Candidate<Notable<'_>>> {
    let means = Quantity::size_against(entry.part).into_iter().filter_map(|(first, second)| {
        let mean = entry.correlation(first, second, Measure::Spearman)?.mean?;
        Some(((first, second), mean))
    });
    let means: Vec<_> = means.collect();
    let effects = means.iter().map(|(_, mean)| Effect::of_correlation(mean));
    let effect = effects.reduce(Effect::larger)?;
    let content = Notable::Importance { entry, means };
    Some(candidate(Question::Importance, &entry.model, effect, content))
}

fn dense(table: &PerplexityTable) -> Option<Candidate<Notable<'_>>> {
    let dense = &table.query().dense()?.measured;
    let (perplexity, n_windows) = (dense.perplexity?, dense.n_windows);
    let effect = Effect { sure: 0.0, estimate: 0.0 };
    let content = Notable::Dense { table, perplexity, n_windows };
    Some(candidate(Question::Dense, &table.model, effect, content))
}
