//! How far back a model remembers: accuracy by the distance of the answer, one line a cell.

use std::collections::{BTreeMap, BTreeSet};

use plan::{Cell, Protocol};
use serde::Serialize;
use statistics::{ConfidenceLevel, Proportion, StatisticsError, wilson};

use crate::format::percent;
use crate::markdown::Align;
use crate::markdown::Table;
use crate::read::{CellResult, Rows};
use crate::row::{Group, short};

/// Into how many bins the distances are pooled, where there are more.
const BINS: usize = 5;

/// How many of some items are right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Right {
    pub(crate) n_correct: u64,
    pub(crate) n_items: u64,
    /// Share of correct items with Wilson's 95 % limits.
    pub(crate) accuracy: f64,
    pub(crate) lower: f64,
    pub(crate) upper: f64,
}

impl Right {
    fn of(n_correct: u64, n_items: u64) -> Result<Right, StatisticsError> {
        let interval = wilson(Proportion::new(n_correct, n_items)?, ConfidenceLevel::P95);
        let (accuracy, lower, upper) = (interval.estimate, interval.lower, interval.upper);
        Ok(Right { n_correct, n_items, accuracy, lower, upper })
    }
}

/// The items of a cell whose answers lie equally far back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct AtDistance {
    /// Sentences from the one that settles the answer to the last.
    pub(crate) distance_sentences: u32,
    #[serde(flatten)]
    pub(crate) right: Right,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RecallLine {
    pub(crate) cell_id: String,
    pub(crate) cell: Cell,
    pub(crate) started_at_ms: i64,
    /// By distance.
    pub(crate) distances: Vec<AtDistance>,
}

/// All cells of one model, dataset and protocol whose items have a distance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Recall {
    pub(crate) model: String,
    pub(crate) dataset: String,
    pub(crate) protocol: Protocol,
    pub(crate) lines: Vec<RecallLine>,
}

/// The recall of a table's cells; none where no item has a distance.
///
/// # Errors
/// None that rows of a table can cause.
pub(crate) fn of(
    (model, dataset, protocol): (&str, &str, Protocol),
    group: &Group<'_>,
) -> Result<Option<Recall>, StatisticsError> {
    let mut lines = Vec::new();
    for result in &group.cells {
        let distances = distances(result)?;
        if !distances.is_empty() {
            lines.push(RecallLine {
                cell_id: result.id.clone(),
                cell: result.cell.clone(),
                started_at_ms: result.provenance.started_at_ms,
                distances,
            });
        }
    }
    let (model, dataset) = (model.to_owned(), dataset.to_owned());
    Ok((!lines.is_empty()).then_some(Recall { model, dataset, protocol, lines }))
}

fn distances(result: &CellResult) -> Result<Vec<AtDistance>, StatisticsError> {
    let Rows::Items(items) = &result.rows else { return Ok(Vec::new()) };
    let mut counts: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for item in items {
        if let Some(distance) = item.distance_sentences {
            let (n_correct, n_items) = counts.entry(distance).or_default();
            *n_correct += u64::from(item.correct);
            *n_items += 1;
        }
    }
    let at = counts.into_iter().map(|(distance_sentences, (n_correct, n_items))| {
        Ok(AtDistance { distance_sentences, right: Right::of(n_correct, n_items)? })
    });
    at.collect()
}

impl RecallLine {
    /// The items between these distances, both included; nothing where there are none.
    pub(crate) fn pooled(&self, (from, to): (u32, u32)) -> Option<Right> {
        let own = self.distances.iter().filter(|at| (from..=to).contains(&at.distance_sentences));
        let (n_correct, n_items) = own.fold((0, 0), |(correct, items), at| {
            (correct + at.right.n_correct, items + at.right.n_items)
        });
        Right::of(n_correct, n_items).ok()
    }

    /// `dynamic κ=.9 magnitude`: its label without what all lines of a table share.
    pub(crate) fn name(&self) -> String {
        let Cell { model, dataset, protocol, .. } = &self.cell;
        let label = self.cell.label();
        let shared = format!("{model} {dataset} {protocol} ");
        label.strip_prefix(&shared).unwrap_or(&label).to_owned()
    }
}

impl Recall {
    /// The distances as ranges from-to, neighbours pooled where there are many.
    pub(crate) fn bins(&self) -> Vec<(u32, u32)> {
        let all = self.lines.iter().flat_map(|line| &line.distances);
        let all: BTreeSet<u32> = all.map(|at| at.distance_sentences).collect();
        let all: Vec<u32> = all.into_iter().collect();
        let n_in_bin = all.len().div_ceil(BINS).max(1);
        let bins = all.chunks(n_in_bin);
        bins.filter_map(|bin| Some((*bin.first()?, *bin.last()?))).collect()
    }
}

/// `1–4`, or `3` for one distance.
pub(crate) fn bin_name((from, to): (u32, u32)) -> String {
    if from == to { from.to_string() } else { format!("{from}–{to}") }
}

/// The heading of a table, by which the rest of the page refers to it.
pub(crate) fn heading(recall: &Recall) -> String {
    format!("Recall by distance: {} · {} · {}", recall.model, recall.dataset, recall.protocol)
}

/// The tables of a run; nothing where no item has a distance.
pub(crate) fn section(all: &[Recall]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let tables: String = all.iter().map(table).collect();
    format!("\n## Recall by distance\n{tables}")
}

fn table(recall: &Recall) -> String {
    let bins = recall.bins();
    let names: Vec<String> = bins.iter().map(|&bin| bin_name(bin)).collect();
    let columns = names.iter().map(|name| (name.as_str(), Align::Right));
    let first = [("what was done", Align::Left), ("cell", Align::Left)];
    let mut text = Table::new(first.into_iter().chain(columns));
    for line in &recall.lines {
        let first = [line.name(), format!("`{}`", short(&line.cell_id))];
        let values = bins.iter().map(|&bin| match line.pooled(bin) {
            Some(bin) => format!(
                "{}/{} = {} [{}, {}]",
                bin.n_correct,
                bin.n_items,
                percent(bin.accuracy),
                percent(bin.lower),
                percent(bin.upper)
            ),
            None => String::new(),
        });
        text.push(first.into_iter().chain(values));
    }
    format!(
        "\n### {}\n\n{}\nColumns: sentences between the answer and the question. Brackets: 95 % \
         (Wilson).\n",
        heading(recall),
        text.render()
    )
}
