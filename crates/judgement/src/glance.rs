//! Every model in one line: what the same sparsity costs when neurons are skipped per token and when they
//! are cut for good, and what is left of last words.

use evidence::{Row, Wanted};
use plan::Protocol;
use serde::Serialize;

use crate::accuracy::AccuracyTable;
use crate::contrast::{DYNAMIC, FIXED, contrasts};
use crate::perplexity::{Perplexity, PerplexityTable};

/// One model on the first of its texts that has both ends.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Glance {
    /// The model.
    pub model: String,
    /// The text.
    pub dataset: String,
    /// How it was cut.
    pub protocol: Protocol,
    /// Share dropped, κ: the largest that both ends have.
    pub sparsity: f64,
    /// None where it does not exist as a number.
    pub dense_perplexity: Option<f64>,
    /// Share of hidden entries that are zeros anyway.
    pub natural_sparsity: Option<f64>,
    /// The perplexity with a set for every token, as a multiple of dense.
    pub dynamic_ratio: f64,
    /// The same with one set for the whole run.
    pub static_ratio: f64,
    /// The last-word task; none where there is none.
    pub task: Option<String>,
    /// Share of last words that dense gets right; none where not run.
    pub dense_accuracy: Option<f64>,
    /// The same with the same share skipped per token, on the same items by the same code.
    pub dynamic_accuracy: Option<f64>,
    /// The same with that share cut for good.
    pub static_accuracy: Option<f64>,
}

/// Every model that has a static and a dynamic cell of one sparsity.
pub(crate) fn glance(perplexity: &[PerplexityTable], accuracy: &[AccuracyTable]) -> Vec<Glance> {
    let mut all: Vec<Glance> = Vec::new();
    for table in perplexity {
        if all.iter().any(|own| own.model == table.model) {
            continue;
        }
        let Some(contrast) = contrasts(table).into_iter().next_back() else { continue };
        let ratio = |row: &Row<Perplexity>| row.measured.ratio().map(|own| own.ratio);
        let (Some(dense), Some(dynamic_ratio), Some(static_ratio)) =
            (table.query().dense(), ratio(contrast.dynamic), ratio(contrast.fixed))
        else {
            continue;
        };
        let words = accuracy.iter().find(|own| own.model == table.model);
        let at = |way: Wanted| words.and_then(|own| accuracy_at(own, way.at(contrast.sparsity)));
        let dense_words = words.and_then(|own| own.query().dense());
        all.push(Glance {
            model: table.model.clone(),
            dataset: table.dataset.clone(),
            protocol: table.protocol,
            sparsity: contrast.sparsity,
            dense_perplexity: dense.measured.perplexity,
            natural_sparsity: dense.shares.natural_sparsity,
            dynamic_ratio,
            static_ratio,
            task: words.map(|table| format!("{} ({})", table.dataset, table.protocol)),
            dense_accuracy: dense_words.map(|dense| dense.measured.accuracy),
            dynamic_accuracy: at(DYNAMIC),
            static_accuracy: at(FIXED),
        });
    }
    all
}

fn accuracy_at(table: &AccuracyTable, wanted: Wanted) -> Option<f64> {
    Some(table.query().newest(wanted)?.row.measured.accuracy)
}
