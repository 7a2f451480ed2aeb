//! The cells of some runs, looked up by what was done to which model on which text, and paired with what
//! they are compared with. Nothing is compared that differs in code, weights, text or items.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use plan::{Measure, Policy, Protocol, Recipe, Rule, Treatment};

use crate::baseline;
use crate::key::{Subject, subject};
use crate::run::Run;
use crate::table_file::{CellResult, Rows};

/// A cell that was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Match<'a> {
    /// The cell: of several that with the most rows, of equals the newest.
    pub result: &'a CellResult,
    /// Cells that could stand in its place: of other limits, calibration or seeds.
    pub n_alike: usize,
}

/// Why a treatment has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absence {
    /// It was not ordered.
    NotRun,
    /// It was ordered.
    Lost(String),
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Absence::NotRun => f.write_str("not run"),
            Absence::Lost(why) => f.write_str(why),
        }
    }
}

/// The cells of some runs; where a run has an order, those that it names, and nothing of earlier ones.
pub struct Archive<'a> {
    cells: BTreeMap<Subject<'a>, Vec<&'a CellResult>>,
    runs: Vec<&'a Run>,
}

impl<'a> Archive<'a> {
    /// Of all cells that have losses.
    pub fn from_runs(runs: &[&'a Run]) -> Self {
        let mut cells: BTreeMap<_, Vec<&CellResult>> = BTreeMap::new();
        for run in runs {
            let ordered: Option<BTreeSet<&str>> = run
                .order
                .as_ref()
                .map(|order| order.cells.iter().map(|ordered| ordered.id.as_str()).collect());
            let is_meant = |id: &str| ordered.as_ref().is_none_or(|ordered| ordered.contains(id));
            for result in run.results.iter().filter(|own| is_meant(&own.id)) {
                let own = cells.entry(subject(&result.cell)).or_default();
                // Two runs of one folder may hold the same cell.
                if own.iter().all(|other| other.id != result.id) {
                    own.push(result);
                }
            }
        }
        Archive { cells, runs: runs.to_vec() }
    }

    /// The protocols by which a text was run or ordered: those of perplexity, or those of last words.
    pub fn protocols(&self, model: &str, dataset: &str, measure: Measure) -> Vec<Protocol> {
        let done = self.cells.keys().copied();
        let ordered = self.runs.iter().flat_map(|run| &run.order).flat_map(|order| {
            let cells = order.cells.iter().map(|ordered| &ordered.cell);
            cells.map(subject)
        });
        let own = done.chain(ordered).filter(|(m, d, _)| (*m, *d) == (model, dataset));
        let protocols = own.map(|(_, _, protocol)| protocol);
        let own: BTreeSet<Protocol> =
            protocols.filter(|protocol| protocol.measure() == measure).collect();
        own.into_iter().collect()
    }

    /// All cells of a model.
    pub fn of_model(&self, model: &str) -> impl Iterator<Item = &'a CellResult> {
        let own = self.cells.iter().filter(move |((own, _, _), _)| *own == model);
        own.flat_map(|(_, cells)| cells.iter().copied())
    }

    /// The cell with this treatment, whatever its seed: of several that with the most rows, of equals the
    /// newest.
    pub fn find(&self, about: Subject<'_>, recipe: &Recipe) -> Option<Match<'a>> {
        let own = self.cells.get(&about)?;
        let alike = own.iter().filter(|result| is(&result.cell.recipe, recipe));
        let rank = |result: &&&CellResult| {
            let from = &result.provenance;
            (n_rows(result), from.started_at_ms, std::cmp::Reverse(result.id.clone()))
        };
        let n_alike = alike.clone().count();
        Some(Match { result: alike.max_by_key(rank)?, n_alike })
    }

    /// The dense cell that `result` is to be compared with.
    ///
    /// # Errors
    /// Why there is none.
    pub fn dense_of(&self, result: &CellResult) -> Result<&'a CellResult, String> {
        let own = self.cells.get(&subject(&result.cell)).into_iter().flatten().copied();
        let dense = own.filter(|other| other.cell.recipe.is_dense());
        match baseline::closest(result, dense) {
            None => Err("there is no dense cell".to_owned()),
            Some((differences, dense)) if differences.is_empty() => Ok(dense),
            Some((differences, _)) => {
                Err(format!("refused against dense: {}", differences.join("; ")))
            }
        }
    }

    /// Why a treatment has no result: it failed, was ordered and is missing, or was not run.
    pub fn absence(&self, about: Subject<'_>, recipe: &Recipe) -> Absence {
        for run in &self.runs {
            let ordered = run.order.iter().flat_map(|order| &order.cells).find(|ordered| {
                subject(&ordered.cell) == about && is(&ordered.cell.recipe, recipe)
            });
            let Some(ordered) = ordered else { continue };
            let failure = run.failures.iter().find(|failure| failure.cell_id == ordered.id);
            return Absence::Lost(match failure {
                Some(failure) => format!("the cell failed: {}", failure.error),
                None => format!("ordered in run {} and missing", run.name),
            });
        }
        Absence::NotRun
    }
}

fn n_rows(result: &CellResult) -> usize {
    match &result.rows {
        Rows::Windows(rows) => rows.len(),
        Rows::Items(rows) => rows.len(),
        Rows::Choices(_, rows) => rows.len(),
    }
}

/// Whether two recipes are the same but for the seed. A window of one token whose set is chosen by its own
/// scores is the dynamic policy.
fn is(recipe: &Recipe, wanted: &Recipe) -> bool {
    if recipe.steps() == wanted.steps() {
        return true;
    }
    let is_dynamic = |treatment: &Treatment| {
        let own_set = matches!(treatment.rule, Some(Rule::WindowMean | Rule::FirstToken));
        let one_token = treatment.window == Some(1);
        treatment.policy == Policy::Dynamic
            || (treatment.policy == Policy::Window && one_token && own_set)
    };
    let (Some(own), Some(wanted)) = (recipe.treatment(), wanted.treatment()) else { return false };
    let mut same = own.clone();
    same.seed = wanted.seed;
    if is_dynamic(&own) && is_dynamic(&wanted) {
        (same.policy, same.rule) = (wanted.policy, wanted.rule);
    }
    same == wanted
}
