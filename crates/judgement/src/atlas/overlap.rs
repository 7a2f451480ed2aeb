//! How fast scratch-work changes: what the kept sets of two tokens share, by the distance between them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use evidence::{Measured, Observed};
use plan::{Score, Share};
use serde::Serialize;
use tables::OverlapRow;

use super::similarity::Mean;

/// Means over sites at one distance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lag {
    /// The distance.
    pub lag_tokens: u32,
    /// Share of kept neurons that both tokens keep.
    pub overlap: Mean,
    /// Shared over all neurons of the two sets.
    pub jaccard: f64,
    /// The overlap of two sets drawn by chance.
    pub by_chance: f64,
}

/// One observation of overlaps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overlap {
    /// The cell that observed.
    pub cell_id: String,
    /// The model.
    pub model: String,
    /// The text.
    pub dataset: String,
    /// What chose the sets.
    pub score: Score,
    /// Share dropped, κ.
    pub sparsity: f64,
    /// By distance.
    pub lags: Vec<Lag>,
}

/// An observation with its rows.
type WithRows<'a> = (&'a Observed, &'a [OverlapRow]);

/// By model, text, score and sparsity; of several observations of one kind the newest.
pub(super) fn by_distance(observed: &[Observed]) -> Vec<Overlap> {
    let mut newest: BTreeMap<(&str, &str, Score, Share), WithRows<'_>> = BTreeMap::new();
    for observed in observed {
        let cell = &observed.cell;
        let Some(treatment) = cell.recipe.treatment() else { continue };
        if let (Measured::Overlaps(rows), Some(score)) = (&observed.measured, treatment.score) {
            let sparsity = Share::nearest(treatment.sparsity);
            let key = (cell.model.as_str(), cell.dataset.as_str(), score, sparsity);
            let age =
                |other: &Observed| (other.provenance.started_at_ms, Reverse(other.id.clone()));
            let known = newest.entry(key).or_insert((observed, rows));
            if age(observed) > age(known.0) {
                *known = (observed, rows);
            }
        }
    }
    let overlaps = newest.into_iter().map(|((model, dataset, score, share), (observed, rows))| {
        let mut by_lag: BTreeMap<u32, Vec<&OverlapRow>> = BTreeMap::new();
        rows.iter().for_each(|row| by_lag.entry(row.lag_tokens).or_default().push(row));
        Overlap {
            cell_id: observed.id.clone(),
            model: model.to_owned(),
            dataset: dataset.to_owned(),
            score,
            sparsity: share.get(),
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
        overlap: Mean::over_sites(&overlaps)?,
        jaccard: mean(|row| row.jaccard),
        by_chance: mean(|row| row.by_chance),
    })
}
