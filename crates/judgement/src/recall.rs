//! How far back a model remembers: accuracy by the distance of the answer, one line a cell.

use std::collections::{BTreeMap, BTreeSet};

use evidence::{CellResult, Group, Key, Subject};
use plan::{Cell, Protocol};
use serde::Serialize;
use statistics::{ConfidenceLevel, Proportion, StatisticsError, wilson};

/// Into how many bins the distances are pooled, where there are more.
const BINS: usize = 5;

/// How many of some items are right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Right {
    /// Right ones.
    pub n_correct: u64,
    /// All of them.
    pub n_items: u64,
    /// Share of correct items with Wilson's 95 % limits.
    pub accuracy: f64,
    /// The lower limit.
    pub lower: f64,
    /// The upper limit.
    pub upper: f64,
}

impl Right {
    fn from_counts(n_correct: u64, n_items: u64) -> Result<Right, StatisticsError> {
        let interval = wilson(Proportion::new(n_correct, n_items)?, ConfidenceLevel::P95);
        let (accuracy, lower, upper) = (interval.estimate, interval.lower, interval.upper);
        Ok(Right { n_correct, n_items, accuracy, lower, upper })
    }
}

/// The items of a cell whose answers lie equally far back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AtDistance {
    /// Sentences from the one that settles the answer to the last.
    pub distance_sentences: u32,
    /// How many of them are right.
    #[serde(flatten)]
    pub right: Right,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecallLine {
    /// Its id.
    pub cell_id: String,
    /// The cell.
    pub cell: Cell,
    /// What was done in it.
    #[serde(skip)]
    pub key: Key,
    /// When it was begun, in milliseconds since 1970.
    pub started_at_ms: i64,
    /// By distance.
    pub distances: Vec<AtDistance>,
}

/// All cells of one model, dataset and protocol whose items have a distance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recall {
    /// The model.
    pub model: String,
    /// The text.
    pub dataset: String,
    /// How it was asked.
    pub protocol: Protocol,
    /// In the order of the table.
    pub lines: Vec<RecallLine>,
}

/// The recall of a table's cells; none where no item has a distance.
///
/// # Errors
/// None that rows of a table can cause.
pub fn recall(
    (model, dataset, protocol): Subject<'_>,
    group: &Group<'_>,
) -> Result<Option<Recall>, StatisticsError> {
    let mut lines = Vec::new();
    for (key, result) in &group.cells {
        let distances = distances(result)?;
        if !distances.is_empty() {
            lines.push(RecallLine {
                cell_id: result.id.clone(),
                cell: result.cell.clone(),
                key: *key,
                started_at_ms: result.provenance.started_at_ms,
                distances,
            });
        }
    }
    let (model, dataset) = (model.to_owned(), dataset.to_owned());
    Ok((!lines.is_empty()).then_some(Recall { model, dataset, protocol, lines }))
}

fn distances(result: &CellResult) -> Result<Vec<AtDistance>, StatisticsError> {
    let mut counts: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for item in result.items() {
        if let Some(distance) = item.distance_sentences {
            let (n_correct, n_items) = counts.entry(distance).or_default();
            *n_correct += u64::from(item.correct);
            *n_items += 1;
        }
    }
    let at = counts.into_iter().map(|(distance_sentences, (n_correct, n_items))| {
        Ok(AtDistance { distance_sentences, right: Right::from_counts(n_correct, n_items)? })
    });
    at.collect()
}

impl RecallLine {
    /// The items between these distances, both included; nothing where there are none.
    pub fn pooled(&self, (from, to): (u32, u32)) -> Option<Right> {
        let own = self.distances.iter().filter(|at| (from..=to).contains(&at.distance_sentences));
        let (n_correct, n_items) = own.fold((0, 0), |(correct, items), at| {
            (correct + at.right.n_correct, items + at.right.n_items)
        });
        Right::from_counts(n_correct, n_items).ok()
    }

    /// `dynamic κ=.9 magnitude`: its label without what all lines of a table share.
    pub fn name(&self) -> String {
        let Cell { model, dataset, protocol, .. } = &self.cell;
        let label = self.cell.label();
        let shared = format!("{model} {dataset} {protocol} ");
        label.strip_prefix(&shared).unwrap_or(&label).to_owned()
    }
}

impl Recall {
    /// The distances as ranges from-to, neighbours pooled where there are many.
    pub fn bins(&self) -> Vec<(u32, u32)> {
        let all = self.lines.iter().flat_map(|line| &line.distances);
        let all: BTreeSet<u32> = all.map(|at| at.distance_sentences).collect();
        let all: Vec<u32> = all.into_iter().collect();
        let n_in_bin = all.len().div_ceil(BINS).max(1);
        let bins = all.chunks(n_in_bin);
        bins.filter_map(|bin| Some((*bin.first()?, *bin.last()?))).collect()
    }
}
