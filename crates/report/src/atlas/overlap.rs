//! How fast scratch-work changes: what the kept sets of two tokens share, by the distance between them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use plan::{Score, shortest_decimal};
use serde::Serialize;
use tables::OverlapRow;

use super::similarity::Mean;
use crate::observed::{Measured, Observed};

/// Means over sites at one distance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Lag {
    pub(crate) lag_tokens: u32,
    /// Share of kept neurons that both tokens keep.
    pub(crate) overlap: Mean,
    /// Shared over all neurons of the two sets.
    pub(crate) jaccard: f64,
    /// The overlap of two sets drawn by chance.
    pub(crate) by_chance: f64,
}

/// One observation of overlaps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Overlap {
    pub(crate) cell_id: String,
    pub(crate) model: String,
    pub(crate) dataset: String,
    pub(crate) score: Score,
    pub(crate) sparsity: f64,
    /// By distance.
    pub(crate) lags: Vec<Lag>,
}

/// An observation with its rows.
type WithRows<'a> = (&'a Observed, &'a [OverlapRow]);

/// By model, text, score and sparsity; of several observations of one kind the newest.
pub(crate) fn of(observed: &[Observed]) -> Vec<Overlap> {
    let mut newest: BTreeMap<(&str, &str, Score, String), WithRows<'_>> = BTreeMap::new();
    for observed in observed {
        let (cell, treatment) = (&observed.cell, &observed.cell.treatment);
        if let (Measured::Overlaps(rows), Some(score)) = (&observed.measured, treatment.score) {
            let sparsity = shortest_decimal(treatment.sparsity);
            let key = (cell.model.as_str(), cell.dataset.as_str(), score, sparsity);
            let age =
                |other: &Observed| (other.provenance.started_at_ms, Reverse(other.id.clone()));
            let known = newest.entry(key).or_insert((observed, rows));
            if age(observed) > age(known.0) {
                *known = (observed, rows);
            }
        }
    }
    let overlaps = newest.into_iter().map(|((model, dataset, score, _), (observed, rows))| {
        let mut by_lag: BTreeMap<u32, Vec<&OverlapRow>> = BTreeMap::new();
        rows.iter().for_each(|row| by_lag.entry(row.lag_tokens).or_default().push(row));
        Overlap {
            cell_id: observed.id.clone(),
            model: model.to_owned(),
            dataset: dataset.to_owned(),
            score,
            sparsity: observed.cell.treatment.sparsity,
            lags: by_lag.into_iter().filter_map(|(lag, rows)| at_lag(lag, &rows)).collect(),
        }
    });
    overlaps.collect()
}

fn at_lag(lag_tokens: u32, rows: &[&OverlapRow]) -> Option<Lag> {
    let overlaps: Vec<f64> = rows.iter().map(|row| row.overlap).collect();
    let mean = |value: fn(&OverlapRow) -> f64| {
        rows.iter().map(|row| value(row)).sum::<f64>() / rows.len() as f64
    };
    Some(Lag {
        lag_tokens,
        overlap: Mean::of(&overlaps)?,
        jaccard: mean(|row| row.jaccard),
        by_chance: mean(|row| row.by_chance),
    })
}
