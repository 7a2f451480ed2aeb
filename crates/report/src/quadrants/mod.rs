//! Part × method: what is pruned (neurons, state channels) by what kind of set (one for the whole run,
//! one for every token), every score in its quadrant, one table a model, dataset and protocol.

mod findings;
mod glance;
mod page;

use std::collections::{BTreeMap, BTreeSet};

use plan::{Mode, Part, Policy, Protocol, Recalibration, Score, shortest_decimal};
use serde::Serialize;

use crate::accuracy::{Accuracy, AccuracyTable};
use crate::perplexity::{Perplexity, PerplexityTable};
use crate::row::{Row, Touches, newest, newest_dense};
use crate::unequal;

pub(crate) use findings::{findings, of_each_model, shared_sparsity};
pub(crate) use glance::glance;
pub(crate) use page::{heading, section};

/// What a score has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A size: of the activation or of the weights, never both.
    Cheap,
    /// What dropping changes behind the neuron or channel: in the block's output or in the loss.
    OutputAware,
    /// Random, and the wrong way round.
    Control,
}

impl Kind {
    pub(crate) fn of(score: Score) -> Kind {
        match score {
            Score::Magnitude | Score::Weight | Score::Energy | Score::StateWeight => Kind::Cheap,
            Score::Random | Score::Reversed => Kind::Control,
            Score::Impact | Score::Wanda | Score::Taylor | Score::Fisher => Kind::OutputAware,
            Score::Ghost | Score::GhostFactored | Score::StateTaylor => Kind::OutputAware,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Cheap => "cheap",
            Kind::OutputAware => "output-aware",
            Kind::Control => "control",
        }
    }
}

/// What the values of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Measure {
    /// Perplexity divided by that of dense.
    PerplexityRatio,
    /// Share of correct items.
    Accuracy,
}

/// One cell of the grid.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Value {
    pub(crate) sparsity: f64,
    pub(crate) cell_id: String,
    pub(crate) value: f64,
    /// Limits of the 95 % interval; none for a single window.
    pub(crate) lower: Option<f64>,
    pub(crate) upper: Option<f64>,
    pub(crate) reached_sparsity: f64,
}

/// A quadrant: the state has two dynamic ones, by what its sets act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Quadrant {
    pub(crate) part: Part,
    pub(crate) policy: Policy,
    pub(crate) mode: Option<Mode>,
}

impl Quadrant {
    /// `state dynamic read`
    pub(crate) fn name(self) -> String {
        let mode = self.mode.map(|mode| format!(" {mode}")).unwrap_or_default();
        format!("{} {}{mode}", self.part, self.policy)
    }
}

/// One way to choose sets, at every sparsity that was run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Line {
    #[serde(flatten)]
    pub(crate) quadrant: Quadrant,
    pub(crate) kind: Kind,
    pub(crate) score: Score,
    pub(crate) recalibration: Option<Recalibration>,
    /// By ascending sparsity.
    pub(crate) values: Vec<Value>,
}

impl Line {
    pub(crate) fn at(&self, sparsity: f64) -> Option<&Value> {
        self.values.iter().find(|value| value.sparsity.total_cmp(&sparsity).is_eq())
    }

    /// `state static ghost sequential`
    fn name(&self) -> String {
        let recalibration = self.recalibration.map(|how| format!(" {how}")).unwrap_or_default();
        format!("{} {}{recalibration}", self.quadrant.name(), self.score)
    }
}

/// The quadrants of one model, dataset and protocol.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Quadrants {
    pub(crate) model: String,
    pub(crate) dataset: String,
    pub(crate) protocol: Protocol,
    pub(crate) measure: Measure,
    /// Ascending.
    pub(crate) sparsities: Vec<f64>,
    /// By quadrant, kind and score.
    pub(crate) lines: Vec<Line>,
    /// How much of the model each part is.
    pub(crate) parts: Vec<(Part, Touches)>,
    /// Sparsities at which the lines dropped different shares.
    pub(crate) unequal: Vec<String>,
    /// Places that several cells could fill (other seeds or calibration); the newest is shown.
    pub(crate) n_ambiguous: usize,
}

/// The quadrants of every table that has at least two, and more than one score in them.
pub(crate) fn of(perplexity: &[PerplexityTable], accuracy: &[AccuracyTable]) -> Vec<Quadrants> {
    let perplexity = perplexity.iter().map(of_perplexity);
    let quadrants = perplexity.chain(accuracy.iter().map(of_accuracy));
    let has_choice = |table: &Quadrants| {
        let scores: BTreeSet<Score> = table.lines.iter().map(|line| line.score).collect();
        table.quadrants().len() > 1 && scores.len() > 1
    };
    quadrants.filter(has_choice).collect()
}

/// The lines of a perplexity table, however few.
pub(crate) fn of_perplexity(table: &PerplexityTable) -> Quadrants {
    let name = (table.model.clone(), table.dataset.clone(), table.protocol);
    collect(name, Measure::PerplexityRatio, &table.rows, rated_perplexity)
}

fn of_accuracy(table: &AccuracyTable) -> Quadrants {
    let name = (table.model.clone(), table.dataset.clone(), table.protocol);
    collect(name, Measure::Accuracy, &table.rows, rated_accuracy)
}

/// What a row is rated by, and the dense cell that it was compared with.
struct Rated<'a> {
    dense_cell_id: &'a str,
    value: f64,
    lower: Option<f64>,
    upper: Option<f64>,
}

fn rated_perplexity(row: &Row<Perplexity>) -> Option<Rated<'_>> {
    let compared = row.measured.against_dense.compared()?;
    let (lower, upper) = (compared.lower, compared.upper);
    Some(Rated { dense_cell_id: &compared.dense_cell_id, value: compared.ratio, lower, upper })
}

fn rated_accuracy(row: &Row<Accuracy>) -> Option<Rated<'_>> {
    let dense_cell_id = &row.measured.against_dense.compared()?.dense_cell_id;
    let (lower, upper) = (Some(row.measured.lower), Some(row.measured.upper));
    Some(Rated { dense_cell_id, value: row.measured.accuracy, lower, upper })
}

/// What tells two lines apart, in the order of the table.
type Way = (Quadrant, Kind, Score, Option<Recalibration>);

/// Only rows compared with the newest dense cell count, so that all values of a table have one baseline.
fn collect<M>(
    (model, dataset, protocol): (String, String, Protocol),
    measure: Measure,
    rows: &[Row<M>],
    rated: impl Fn(&Row<M>) -> Option<Rated<'_>>,
) -> Quadrants {
    let dense = newest_dense(rows).map(|dense| dense.cell_id.as_str());
    // κ as text sorts as it reads: all are "0.…" without trailing zeros.
    let mut ways: BTreeMap<Way, BTreeMap<String, Vec<&Row<M>>>> = BTreeMap::new();
    let mut parts: BTreeMap<Part, Vec<&Row<M>>> = BTreeMap::new();
    for row in rows {
        let treatment = &row.cell.treatment;
        let has_one_set = matches!(treatment.policy, Policy::Static | Policy::Dynamic);
        let is_comparable = rated(row).is_some_and(|rated| Some(rated.dense_cell_id) == dense);
        if let (true, true, Some(score)) = (has_one_set, is_comparable, treatment.score) {
            let (part, policy, mode) = (treatment.part, treatment.policy, treatment.mode);
            let quadrant = Quadrant { part, policy, mode };
            let way = (quadrant, Kind::of(score), score, treatment.recalibration);
            let sparsity = shortest_decimal(treatment.sparsity);
            ways.entry(way).or_default().entry(sparsity).or_default().push(row);
            parts.entry(part).or_default().push(row);
        }
    }
    let all_places = ways.values().flat_map(BTreeMap::values);
    let n_ambiguous = all_places.filter(|twins| twins.len() > 1).count();
    let lines: Vec<Line> = ways
        .into_iter()
        .map(|((quadrant, kind, score, recalibration), places)| {
            let values = places.into_values().filter_map(|twins| {
                let row = newest(twins)?;
                let Rated { value, lower, upper, .. } = rated(row)?;
                let (cell_id, sparsity) = (row.cell_id.clone(), row.cell.treatment.sparsity);
                let reached_sparsity = row.shares.reached_sparsity;
                Some(Value { sparsity, cell_id, value, lower, upper, reached_sparsity })
            });
            Line { quadrant, kind, score, recalibration, values: values.collect() }
        })
        .collect();
    let parts = parts.into_iter().filter_map(|(part, rows)| Some((part, newest(rows)?.touches)));
    let parts = parts.collect();
    let sparsities = sparsities(&lines);
    let unequal = sparsities.iter().filter_map(|&sparsity| unequal_at(&lines, sparsity)).collect();
    Quadrants { model, dataset, protocol, measure, sparsities, lines, parts, unequal, n_ambiguous }
}

/// Every sparsity of some line, ascending.
fn sparsities(lines: &[Line]) -> Vec<f64> {
    let all = lines.iter().flat_map(|line| &line.values);
    let mut sparsities: Vec<f64> = all.map(|value| value.sparsity).collect();
    sparsities.sort_by(f64::total_cmp);
    sparsities.dedup();
    sparsities
}

/// What is to be said when the lines dropped different shares at one sparsity.
pub(crate) fn unequal_at(lines: &[Line], sparsity: f64) -> Option<String> {
    let at = |line: &Line| Some((line.name(), line.at(sparsity)?.reached_sparsity));
    let flag = unequal::flag(lines.iter().filter_map(at))?;
    Some(format!("κ={}: {flag}", shortest_decimal(sparsity)))
}

impl Quadrants {
    /// The quadrants that have a line.
    pub(crate) fn quadrants(&self) -> BTreeSet<Quadrant> {
        self.lines.iter().map(|line| line.quadrant).collect()
    }
}
