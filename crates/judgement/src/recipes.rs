//! What recipes leave of a model and what they cost: every recipe of a run that changes weights or that no
//! other table has, beside the bytes that it takes; and methods of cutting weights side by side at equal
//! strength.

use std::collections::BTreeMap;

use evidence::{AgainstDense, CellResult, Run, Subject, closest, subject};
use plan::{Measure, Protocol, Recipe, Step, Way};
use serde::Serialize;

use crate::perplexity::{PerplexityRatio, Resamples, losses};

/// One recipe that cuts, or the dense model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecipeRow {
    /// The cell.
    pub cell_id: String,
    /// The steps as one text.
    pub recipe: String,
    /// The same in short.
    pub label: String,
    /// None where it is not finite.
    pub perplexity: Option<f64>,
    /// How it stands to dense.
    pub against_dense: AgainstDense<PerplexityRatio>,
    /// Jensen–Shannon divergence to the dense model, nats, mean over targets; where it was asked for.
    pub js_nats: Option<f64>,
    /// Bytes that the model takes.
    pub stored_bytes: u64,
    /// Parameters that are stored.
    pub parameters_left: u64,
    /// Mean layers after which a token is predicted; none where all go through all layers.
    pub layers_per_token: Option<f64>,
    /// Largest negative log-likelihood of a single target, nats.
    pub worst_nll_nats: f64,
    /// Targets that an even guess over the vocabulary would have cost less.
    pub n_worse_than_chance: u64,
    /// Whether no other row costs less with no more bytes.
    pub is_on_front: bool,
    #[serde(skip)]
    steps: Vec<Step>,
}

impl RecipeRow {
    /// Its perplexity as a multiple of dense; 1 for dense itself.
    pub fn times(&self) -> Option<f64> {
        match &self.against_dense {
            AgainstDense::Baseline => Some(1.0),
            other => Some(other.compared()?.ratio),
        }
    }

    /// The only step of the recipe, where it has one.
    pub fn only_step(&self) -> Option<&Step> {
        match self.steps.as_slice() {
            [step] => Some(step),
            _ => None,
        }
    }
}

/// A method of cutting weights at one strength.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodRow {
    /// The method.
    pub method: String,
    /// The cell.
    pub cell_id: String,
    /// Perplexity against dense.
    pub against_dense: PerplexityRatio,
    /// Perplexity against `magnitude` at the same strength, on the same windows; none for itself and
    /// where that was not run.
    pub against_magnitude: Option<PerplexityRatio>,
}

/// Methods that drop equally much.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Methods {
    /// κ, or n:m.
    pub strength: String,
    /// In the order of the vocabulary.
    pub rows: Vec<MethodRow>,
}

/// All recipes of one model on one text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recipes {
    /// The model.
    pub model: String,
    /// The text.
    pub dataset: String,
    /// How the text was asked.
    pub protocol: Protocol,
    /// Dense first, then by steps.
    pub rows: Vec<RecipeRow>,
    /// Methods of cutting weights, by strength.
    pub methods: Vec<Methods>,
}

impl Recipes {
    /// What it is about.
    pub fn subject(&self) -> Subject<'_> {
        (&self.model, &self.dataset, self.protocol)
    }
}

/// The recipes of a run, by model and text; where every recipe is one step on neurons or channels, which
/// other tables have, there is nothing.
pub fn recipes(run: &Run, resamples: &Resamples) -> Vec<Recipes> {
    let mut subjects: BTreeMap<Subject<'_>, Vec<&CellResult>> = BTreeMap::new();
    for result in run.results.iter().filter(|own| own.cell.protocol.measure() == Measure::MeanLoss)
    {
        subjects.entry(subject(&result.cell)).or_default().push(result);
    }
    let of = |(subject, results): (Subject<'_>, Vec<&CellResult>)| of(subject, &results, resamples);
    subjects.into_iter().filter_map(of).collect()
}

fn cuts(recipe: &Recipe) -> bool {
    recipe.cuts().next().is_some()
}

fn of(
    (model, dataset, protocol): Subject<'_>,
    results: &[&CellResult],
    resamples: &Resamples,
) -> Option<Recipes> {
    let is_new = |recipe: &Recipe| recipe.treatment().is_none();
    results.iter().find(|own| is_new(&own.cell.recipe))?;
    let dense: Vec<&CellResult> =
        results.iter().copied().filter(|own| own.cell.recipe.is_dense()).collect();
    // Of several stretches of a text the first, of several cells of one recipe the newest, as in every table.
    let first = dense.iter().map(|own| own.cell.offset).min().flatten();
    let mut newest: BTreeMap<&[Step], &CellResult> = BTreeMap::new();
    for &result in results.iter().filter(|own| own.cell.offset == first) {
        let recipe = &result.cell.recipe;
        if recipe.is_dense() || cuts(recipe) || is_new(recipe) {
            let known = newest.entry(recipe.steps()).or_insert(result);
            let age = |own: &CellResult| (own.provenance.started_at_ms, own.id.clone());
            if age(result) > age(known) {
                *known = result;
            }
        }
    }
    let mut rows: Vec<RecipeRow> =
        newest.values().map(|result| row(result, &dense, resamples)).collect();
    mark_front(&mut rows);
    let methods = methods(&newest, &rows, resamples);
    let (model, dataset) = (model.to_owned(), dataset.to_owned());
    Some(Recipes { model, dataset, protocol, rows, methods })
}

fn row(result: &CellResult, dense: &[&CellResult], resamples: &Resamples) -> RecipeRow {
    let recipe = &result.cell.recipe;
    let windows = losses(result);
    let against_dense = match closest(result, dense.iter().copied()) {
        _ if recipe.is_dense() => AgainstDense::Baseline,
        None => AgainstDense::NoDense,
        Some((differences, _)) if !differences.is_empty() => {
            AgainstDense::Refused { reason: differences.join("; ") }
        }
        Some((_, dense)) => match crate::perplexity::ratio(dense, &windows, resamples) {
            Ok(ratio) => AgainstDense::Compared(ratio),
            Err(error) => AgainstDense::Refused { reason: error.to_string() },
        },
    };
    let targets: f64 = windows.iter().map(|window| f64::from(window.n_targets)).sum();
    let weighted = |row: &tables::WindowRow| Some(row.js_nats? * f64::from(row.n_targets));
    let divergence: Option<f64> = result.windows().iter().map(weighted).sum();
    let tokens = || result.windows().iter().map(|row| &row.tokens);
    // Windows of a cell are equally long.
    let layers: Option<f64> = tokens().map(|own| own.layers_per_token).sum();
    RecipeRow {
        cell_id: result.id.clone(),
        recipe: recipe.text(),
        label: recipe.label(),
        perplexity: statistics::perplexity(&windows).ok(),
        against_dense,
        js_nats: divergence.map(|sum| sum / targets),
        stored_bytes: result.left.stored_bytes,
        parameters_left: result.left.parameters,
        layers_per_token: layers.map(|sum| sum / result.windows().len() as f64),
        worst_nll_nats: statistics::largest(tokens().map(|own| own.worst_nll_nats)),
        n_worse_than_chance: tokens().map(|own| u64::from(own.n_worse_than_chance)).sum(),
        is_on_front: false,
        steps: recipe.steps().to_vec(),
    }
}

/// A row is on the front unless another has no more bytes and costs no more, and one of both less.
fn mark_front(rows: &mut [RecipeRow]) {
    let places: Vec<Option<(u64, f64)>> =
        rows.iter().map(|row| Some((row.stored_bytes, row.times()?))).collect();
    for (row, own) in rows.iter_mut().zip(&places) {
        let Some((bytes, times)) = *own else { continue };
        let beats = |&(other_bytes, other_times): &(u64, f64)| {
            other_bytes <= bytes
                && other_times <= times
                && (other_bytes < bytes || other_times < times)
        };
        row.is_on_front = !places.iter().flatten().any(beats);
    }
}

/// Single steps on weights, by strength and method.
fn methods(
    newest: &BTreeMap<&[Step], &CellResult>,
    rows: &[RecipeRow],
    resamples: &Resamples,
) -> Vec<Methods> {
    let mut strengths: BTreeMap<String, Vec<(&Step, &RecipeRow, &CellResult)>> = BTreeMap::new();
    for (row, result) in rows.iter().zip(newest.values()) {
        let Some(step) = row.only_step() else { continue };
        let is_plain =
            step.way() == Way::Cut && step.kind().name == "weights" && step.value("bits").is_none();
        if is_plain && let Some(strength) = step.value("sparsity").or(step.value("pattern")) {
            strengths.entry(strength.to_string()).or_default().push((step, row, result));
        }
    }
    let of_strength = |(strength, cells): (String, Vec<(&Step, &RecipeRow, &CellResult)>)| {
        let is_magnitude = |step: &Step| step.name("method") == Some("magnitude");
        let magnitude = cells.iter().find(|(step, ..)| is_magnitude(step)).map(|cell| cell.2);
        let rows = cells.iter().filter_map(|(step, row, result)| {
            let other = magnitude.filter(|_| !is_magnitude(step));
            let other = other.filter(|other| evidence::differences(result, other).is_empty());
            let against_magnitude = other
                .and_then(|other| crate::perplexity::ratio(other, &losses(result), resamples).ok());
            Some(MethodRow {
                method: step.name("method")?.to_owned(),
                cell_id: row.cell_id.clone(),
                against_dense: row.against_dense.compared()?.clone(),
                against_magnitude,
            })
        });
        Methods { strength, rows: rows.collect() }
    };
    let all = strengths.into_iter().map(of_strength);
    all.filter(|methods| methods.rows.len() > 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(bytes: u64, times: f64) -> RecipeRow {
        let ratio =
            PerplexityRatio { dense_cell_id: "d".into(), ratio: times, lower: None, upper: None };
        RecipeRow {
            cell_id: String::new(),
            recipe: String::new(),
            label: String::new(),
            perplexity: None,
            against_dense: AgainstDense::Compared(ratio),
            js_nats: None,
            stored_bytes: bytes,
            parameters_left: 0,
            layers_per_token: None,
            worst_nll_nats: 0.0,
            n_worse_than_chance: 0,
            is_on_front: false,
            steps: Vec::new(),
        }
    }

    #[test]
    fn the_front_has_nothing_that_is_beaten() {
        let mut rows = vec![row(100, 1.0), row(50, 1.1), row(60, 1.2), row(50, 1.3), row(20, 9.0)];
        rows.push(RecipeRow { against_dense: AgainstDense::NoDense, ..row(1, 1.0) });
        mark_front(&mut rows);
        let front: Vec<bool> = rows.iter().map(|row| row.is_on_front).collect();
        assert_eq!(front, [true, true, false, false, true, false]);
    }

    #[test]
    fn equal_rows_stand_on_the_front_together() {
        let mut rows = vec![row(50, 1.1), row(50, 1.1)];
        mark_front(&mut rows);
        assert!(rows.iter().all(|row| row.is_on_front));
    }
}
