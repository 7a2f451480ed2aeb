//! What a run measured of one recipe on one model, all texts and tasks together: what the card of the model
//! says once it is written.

use std::collections::BTreeMap;

use evidence::{CellResult, Run, closest};
use plan::{Measure, Protocol};
use statistics::{ConfidenceLevel, PairedCounts, Proportion, newcombe_paired, wilson};

use crate::perplexity::{Resamples, losses, ratio};
use crate::tasks::Metric;

/// A number with its 95 % interval, where it has one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WithInterval {
    /// The number.
    pub value: f64,
    /// The limits.
    pub limits: Option<(f64, f64)>,
}

/// How the recipe stands to dense.
#[derive(Debug, Clone, PartialEq)]
pub enum Against {
    /// A multiple of dense, of perplexities; a difference of shares, of items.
    Compared {
        /// What dense comes to.
        dense: f64,
        /// Paired, on the same windows or items.
        difference: WithInterval,
    },
    /// Why there is nothing to compare with.
    Nothing(String),
}

/// One text or task.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredRow {
    /// The cell.
    pub cell_id: String,
    /// The text.
    pub dataset: String,
    /// How it was asked.
    pub protocol: Protocol,
    /// Windows or items.
    pub n: usize,
    /// Those left out at the beginning of the text.
    pub offset: usize,
    /// Perplexity, without an interval; or the share of items that are right, with Wilson's.
    pub value: WithInterval,
    /// Against dense.
    pub against: Against,
}

impl MeasuredRow {
    /// Whether it is a share of items, of which more is better.
    pub fn is_share(&self) -> bool {
        self.protocol.measure() != Measure::MeanLoss
    }
}

/// What one recipe came to on one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The code that computed the cell that was asked for.
    pub code_version: String,
    /// By text and protocol.
    pub rows: Vec<MeasuredRow>,
}

/// Whether two cells ran one cut model: what is done to it and on which text that was chosen, by the same
/// code. A run may hold cells of weights and texts that had the same names before.
fn ran_same_model(one: &CellResult, other: &CellResult) -> bool {
    let of = |own: &CellResult| {
        let from = &own.provenance;
        [from.weights_sha256.clone(), from.code_version.clone()]
    };
    let chosen = |own: &CellResult| {
        (own.cell.calibration.clone(), own.provenance.calibration_sha256.clone())
    };
    one.cell.model == other.cell.model
        && of(one) == of(other)
        && one.cell.recipe == other.cell.recipe
        && (chosen(one) == chosen(other) || !one.cell.recipe.needs_calibration())
}

/// What was measured of the recipe and model of a cell; none where the run has no such cell.
pub fn measured(run: &Run, id: &str) -> Option<Measured> {
    let found = run.results.iter().find(|result| result.id == id)?;
    // Of several cells of one kind the newest, as in every table.
    type Stretch = (Option<usize>, Option<usize>);
    let mut newest: BTreeMap<(&str, Protocol, Stretch), &CellResult> = BTreeMap::new();
    for result in run.results.iter().filter(|own| ran_same_model(own, found)) {
        let stretch = (result.cell.offset, result.cell.limit);
        let key = (result.cell.dataset.as_str(), result.cell.protocol, stretch);
        let known = newest.entry(key).or_insert(result);
        let age = |own: &CellResult| (own.provenance.started_at_ms, own.id.clone());
        if age(result) > age(known) {
            *known = result;
        }
    }
    let resamples = Resamples::for_results(&run.results);
    let rows = newest.into_values().filter_map(|result| row(run, result, &resamples));
    let code_version = found.provenance.code_version.clone();
    Some(Measured { code_version, rows: rows.collect() })
}

fn row(run: &Run, result: &CellResult, resamples: &Resamples) -> Option<MeasuredRow> {
    let cell = &result.cell;
    let dense = run.results.iter().filter(|own| {
        own.cell.recipe.is_dense()
            && (&own.cell.model, &own.cell.dataset, own.cell.protocol)
                == (&cell.model, &cell.dataset, cell.protocol)
    });
    let dense = match closest(result, dense) {
        None => Err("dense was not run".to_owned()),
        Some((differences, _)) if !differences.is_empty() => Err(differences.join("; ")),
        Some((_, dense)) => Ok(dense),
    };
    let (n, value, against) = match cell.protocol.measure() {
        Measure::MeanLoss => of_windows(result, dense, resamples)?,
        Measure::Proportion | Measure::Choice => of_items(result, dense)?,
    };
    Some(MeasuredRow {
        cell_id: result.id.clone(),
        dataset: cell.dataset.clone(),
        protocol: cell.protocol,
        n,
        offset: cell.offset.unwrap_or(0),
        value,
        against,
    })
}

type Numbers = (usize, WithInterval, Against);

fn of_windows(
    result: &CellResult,
    dense: Result<&CellResult, String>,
    resamples: &Resamples,
) -> Option<Numbers> {
    let windows = losses(result);
    let value = statistics::perplexity(&windows).ok()?;
    let compared = dense.and_then(|dense| {
        let own = ratio(dense, &windows, resamples).map_err(|error| error.to_string())?;
        let of_dense = statistics::perplexity(&losses(dense)).map_err(|error| error.to_string())?;
        let limits = own.lower.zip(own.upper);
        Ok(Against::Compared {
            dense: of_dense,
            difference: WithInterval { value: own.ratio, limits },
        })
    });
    let value = WithInterval { value, limits: None };
    Some((windows.len(), value, compared.unwrap_or_else(Against::Nothing)))
}

fn of_items(result: &CellResult, dense: Result<&CellResult, String>) -> Option<Numbers> {
    let right = right(result);
    let n_right = right.iter().filter(|right| **right).count() as u64;
    let share = wilson(Proportion::new(n_right, right.len() as u64).ok()?, ConfidenceLevel::P95);
    let compared = dense.and_then(|dense| {
        let of = |error: statistics::StatisticsError| error.to_string();
        let counts = PairedCounts::from_outcomes(&right, &self::right(dense)).map_err(of)?;
        let interval = newcombe_paired(counts, ConfidenceLevel::P95).map_err(of)?;
        let second = counts.second().map_err(of)?;
        Ok(Against::Compared {
            dense: second.value(),
            difference: WithInterval {
                value: interval.estimate,
                limits: Some((interval.lower, interval.upper)),
            },
        })
    });
    let value = WithInterval { value: share.estimate, limits: Some((share.lower, share.upper)) };
    Some((right.len(), value, compared.unwrap_or_else(Against::Nothing)))
}

/// Whether each item is right, by the metric of its task.
pub(crate) fn right(result: &CellResult) -> Vec<bool> {
    match result.choices() {
        Some((task, rows)) => {
            let metric = Metric::of(task);
            tables::outcomes(rows).iter().map(|own| metric.is_right(own)).collect()
        }
        None => result.items().iter().map(|item| item.correct).collect(),
    }
}
