//! The cells that claims rest on: looked up by what was done to which model on which text, and paired
//! with what they are compared with. Nothing is compared that differs in code, weights, text or items.

use std::collections::{BTreeMap, BTreeSet};

use plan::{ModelGroup, Policy, Protocol, Rule, Treatment, shortest_decimal};
use statistics::Margins;

use super::detectable::Detectable;
use super::{Check, Measurement, Verdict};
use crate::atlas::Atlas;
use crate::baseline;
use crate::read::{CellResult, Rows};
use crate::run::Run;

/// On which side of a claim's threshold the whole interval lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    For,
    Against,
    /// The threshold lies within the interval.
    Between,
}

impl Side {
    /// Of a claim that the quantity is at least `threshold`.
    pub(super) fn at_least(lower: f64, upper: f64, threshold: f64) -> Side {
        match () {
            () if lower >= threshold => Side::For,
            () if upper < threshold => Side::Against,
            () => Side::Between,
        }
    }

    /// Of a claim that two things are the same within a margin.
    pub(super) fn of_margins(margins: Margins) -> Side {
        match margins {
            Margins::Within => Side::For,
            Margins::Beyond => Side::Against,
            Margins::Across => Side::Between,
        }
    }

    /// Of the opposite claim.
    pub(super) fn reversed(self) -> Side {
        match self {
            Side::For => Side::Against,
            Side::Against => Side::For,
            Side::Between => Side::Between,
        }
    }
}

/// What was found of a claim on one model, before the adjustment of all p-values.
pub(super) struct Finding {
    /// With the verdict left open.
    pub(super) check: Check,
    /// None where nothing was measured.
    pub(super) side: Option<Side>,
    /// The least p-value that so little data can give, where that is worth saying.
    pub(super) least_p: Option<f64>,
    /// What so much data would find: said where nothing is decided.
    pub(super) detectable: Option<Detectable>,
}

/// Where a claim is checked.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    pub(super) group: &'a ModelGroup,
    pub(super) model: &'a str,
    pub(super) dataset: String,
    pub(super) protocol: Option<Protocol>,
    pub(super) what: String,
}

impl Place<'_> {
    fn check(&self, measurement: Option<Measurement>, note: String) -> Check {
        Check {
            group: self.group.name.clone(),
            model: self.model.to_owned(),
            dataset: self.dataset.clone(),
            protocol: self.protocol.map(|protocol| protocol.to_string()),
            what: self.what.clone(),
            verdict: Verdict::NotMeasured,
            measurement,
            note,
        }
    }

    /// Nothing was measured here.
    pub(super) fn not_measured(&self, why: impl Into<String>) -> Finding {
        let check = self.check(None, why.into());
        Finding { check, side: None, least_p: None, detectable: None }
    }

    /// Something was.
    pub(super) fn measured(&self, measurement: Measurement, side: Side, note: String) -> Finding {
        let check = self.check(Some(measurement), note);
        Finding { check, side: Some(side), least_p: None, detectable: None }
    }
}

/// A cell that a claim asks for.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) result: &'a CellResult,
    /// Cells that could stand in its place: of other limits, calibration or seeds.
    n_alike: usize,
}

impl Found<'_> {
    /// What has to be said of the choice.
    pub(super) fn note(&self) -> Option<String> {
        let n = self.n_alike;
        (n > 1).then(|| format!("of {n} such cells the one with the most rows, then the newest"))
    }
}

/// Why a treatment has no result.
pub(super) enum Absence {
    NotRun,
    /// It was ordered.
    Lost(String),
}

impl std::fmt::Display for Absence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Absence::NotRun => f.write_str("not run"),
            Absence::Lost(why) => f.write_str(why),
        }
    }
}

/// The cells of some runs; where a run has an order, those that it names, and nothing of earlier ones.
pub(super) struct Evidence<'a> {
    /// By model, text and protocol.
    cells: BTreeMap<(&'a str, &'a str, Protocol), Vec<&'a CellResult>>,
    pub(super) runs: Vec<(&'a Run, &'a Atlas)>,
}

impl<'a> Evidence<'a> {
    pub(super) fn of(runs: &[(&'a Run, &'a Atlas)]) -> Self {
        let mut cells: BTreeMap<_, Vec<&CellResult>> = BTreeMap::new();
        for (run, _) in runs {
            let ordered: Option<BTreeSet<&str>> = run
                .order
                .as_ref()
                .map(|order| order.cells.iter().map(|ordered| ordered.id.as_str()).collect());
            let is_meant = |id: &str| ordered.as_ref().is_none_or(|ordered| ordered.contains(id));
            for result in run.results.iter().filter(|result| is_meant(&result.id)) {
                let cell = &result.cell;
                let key = (cell.model.as_str(), cell.dataset.as_str(), cell.protocol);
                let own = cells.entry(key).or_default();
                // Two runs of one folder may hold the same cell.
                if own.iter().all(|other| other.id != result.id) {
                    own.push(result);
                }
            }
        }
        Evidence { cells, runs: runs.to_vec() }
    }

    /// The protocols by which a text was run or ordered: those of perplexity, or those of last words.
    pub(super) fn protocols(
        &self,
        model: &str,
        dataset: &str,
        is_perplexity: bool,
    ) -> Vec<Protocol> {
        let done = self.cells.keys().copied();
        let ordered = self.runs.iter().flat_map(|(run, _)| &run.order).flat_map(|order| {
            let cells = order.cells.iter().map(|ordered| &ordered.cell);
            cells.map(|cell| (cell.model.as_str(), cell.dataset.as_str(), cell.protocol))
        });
        let own = done.chain(ordered).filter(|(m, d, _)| (*m, *d) == (model, dataset));
        let protocols = own.map(|(_, _, protocol)| protocol);
        let own: BTreeSet<Protocol> =
            protocols.filter(|protocol| protocol.is_perplexity() == is_perplexity).collect();
        own.into_iter().collect()
    }

    /// All cells of a model.
    pub(super) fn of_model(&self, model: &str) -> impl Iterator<Item = &'a CellResult> {
        let own = self.cells.iter().filter(move |((own, _, _), _)| *own == model);
        own.flat_map(|(_, cells)| cells.iter().copied())
    }

    /// The cell with this treatment, whatever its seed: of several that with the most rows, of equals the
    /// newest.
    pub(super) fn find(
        &self,
        (model, dataset, protocol): (&str, &str, Protocol),
        treatment: &Treatment,
    ) -> Option<Found<'a>> {
        let own = self.cells.get(&(model, dataset, protocol))?;
        let alike = own.iter().filter(|result| is(&result.cell.treatment, treatment));
        let rank = |result: &&&CellResult| {
            let from = &result.provenance;
            (n_rows(result), from.started_at_ms, std::cmp::Reverse(result.id.clone()))
        };
        let n_alike = alike.clone().count();
        Some(Found { result: alike.max_by_key(rank)?, n_alike })
    }

    /// The dense cell that `result` is to be compared with.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn dense_of(&self, result: &CellResult) -> Result<&'a CellResult, String> {
        let cell = &result.cell;
        let key = (cell.model.as_str(), cell.dataset.as_str(), cell.protocol);
        let own = self.cells.get(&key).into_iter().flatten().copied();
        let dense = own.filter(|other| other.cell.treatment.policy == Policy::Dense);
        match baseline::closest(result, dense) {
            None => Err("there is no dense cell".to_owned()),
            Some((differences, dense)) if differences.is_empty() => Ok(dense),
            Some((differences, _)) => {
                Err(format!("refused against dense: {}", differences.join("; ")))
            }
        }
    }

    /// Why a treatment has no result: it failed, was ordered and is missing, or was not run.
    pub(super) fn absence(
        &self,
        (model, dataset, protocol): (&str, &str, Protocol),
        treatment: &Treatment,
    ) -> Absence {
        for (run, _) in &self.runs {
            let ordered = run.order.iter().flat_map(|order| &order.cells).find(|ordered| {
                let cell = &ordered.cell;
                let place = (cell.model.as_str(), cell.dataset.as_str(), cell.protocol);
                place == (model, dataset, protocol) && is(&cell.treatment, treatment)
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
    }
}

/// Whether two treatments are the same but for the seed. A window of one token whose set is chosen by its
/// own scores is the dynamic policy.
fn is(treatment: &Treatment, wanted: &Treatment) -> bool {
    let is_dynamic = |treatment: &Treatment| {
        let own_set = matches!(treatment.rule, Some(Rule::WindowMean | Rule::FirstToken));
        let one_token = treatment.window == Some(1);
        treatment.policy == Policy::Dynamic
            || (treatment.policy == Policy::Window && one_token && own_set)
    };
    let mut same = treatment.clone();
    same.seed = wanted.seed;
    if is_dynamic(treatment) && is_dynamic(wanted) {
        (same.policy, same.rule) = (wanted.policy, wanted.rule);
    }
    same == *wanted
}

/// `dynamic magnitude κ=0.9`, `state dynamic read ghost κ=0.9`
pub(super) fn describe(treatment: &Treatment) -> String {
    let part = (treatment.part != plan::Part::Ffn).then(|| treatment.part.to_string());
    let words = [
        part,
        Some(treatment.policy.to_string()),
        treatment.mode.map(|mode| mode.to_string()),
        treatment.rule.map(|rule| rule.to_string()),
        treatment.prompt_tokens.map(|tokens| format!("P={tokens}")),
        treatment.score.map(|score| score.to_string()),
        treatment.recalibration.map(|how| how.to_string()),
        Some(format!("κ={}", shortest_decimal(treatment.sparsity))),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}
