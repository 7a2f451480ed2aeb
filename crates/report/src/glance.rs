//! Every model in one line: what the same sparsity costs when neurons are skipped per token and when they
//! are cut for good, and what is left of last words.

use plan::{Part, Policy, Protocol, shortest_decimal};
use serde::Serialize;

use crate::accuracy::{Accuracy, AccuracyTable};
use crate::contrast::{SCORE, pairs};
use crate::format::{NOTHING, or_nothing, percent, significant};
use crate::markdown::Align::{Left, Right};
use crate::markdown::{Table, plain};
use crate::perplexity::{Perplexity, PerplexityTable};
use crate::row::{Row, is_of, newest, newest_dense};

/// One model on the first of its texts that has both ends.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Glance {
    pub(crate) model: String,
    pub(crate) dataset: String,
    pub(crate) protocol: Protocol,
    pub(crate) sparsity: f64,
    pub(crate) dense_perplexity: Option<f64>,
    pub(crate) natural_sparsity: f64,
    /// Multiples of the dense perplexity.
    pub(crate) dynamic_ratio: f64,
    pub(crate) static_ratio: f64,
    /// The last-word task; none where there is none.
    pub(crate) task: Option<String>,
    /// Share of last words, dense and with the same share skipped per token or cut for good, on the same
    /// items by the same code; none where not run.
    pub(crate) dense_accuracy: Option<f64>,
    pub(crate) dynamic_accuracy: Option<f64>,
    pub(crate) static_accuracy: Option<f64>,
}

/// Every model that has a static and a dynamic cell of one sparsity.
pub(crate) fn of(perplexity: &[PerplexityTable], accuracy: &[AccuracyTable]) -> Vec<Glance> {
    let mut all: Vec<Glance> = Vec::new();
    for table in perplexity {
        if all.iter().any(|own| own.model == table.model) {
            continue;
        }
        let Some(pair) = pairs(table).into_iter().next_back() else { continue };
        let ratio =
            |row: &Row<Perplexity>| row.measured.against_dense.compared().map(|own| own.ratio);
        let (Some(dense), Some(dynamic_ratio), Some(static_ratio)) =
            (newest_dense(&table.rows), ratio(pair.dynamic), ratio(pair.fixed))
        else {
            continue;
        };
        let words = accuracy.iter().find(|own| own.model == table.model);
        let at = |policy| words.and_then(|table| accuracy_at(table, policy, pair.sparsity));
        all.push(Glance {
            model: table.model.clone(),
            dataset: table.dataset.clone(),
            protocol: table.protocol,
            sparsity: pair.sparsity,
            dense_perplexity: dense.measured.perplexity,
            natural_sparsity: dense.shares.natural_sparsity,
            dynamic_ratio,
            static_ratio,
            task: words.map(|table| format!("{} ({})", table.dataset, table.protocol)),
            dense_accuracy: at(Policy::Dense),
            dynamic_accuracy: at(Policy::Dynamic),
            static_accuracy: at(Policy::Static),
        });
    }
    all
}

/// The accuracy of a policy at one sparsity by the score that the pairs are of, if it is compared with the
/// newest dense row; of dense that of this row.
fn accuracy_at(table: &AccuracyTable, policy: Policy, sparsity: f64) -> Option<f64> {
    let dense = newest_dense(&table.rows)?;
    if policy == Policy::Dense {
        return Some(dense.measured.accuracy);
    }
    let is_meant = |row: &&Row<Accuracy>| {
        let treatment = &row.cell.treatment;
        let is_at = treatment.sparsity.total_cmp(&sparsity).is_eq();
        let compared = row.measured.against_dense.compared();
        is_of(row, Part::Ffn)
            && is_at
            && (treatment.policy, treatment.score) == (policy, Some(SCORE))
            && compared.is_some_and(|own| own.dense_cell_id == dense.cell_id)
    };
    Some(newest(table.rows.iter().filter(is_meant))?.measured.accuracy)
}

/// The table; nothing where no model has both ends.
pub(crate) fn section(all: &[Glance]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let columns = [
        ("model", Left),
        ("text", Left),
        ("dense", Right),
        ("zeros", Right),
        ("κ", Right),
        ("dynamic", Right),
        ("static", Right),
        ("last words", Left),
        ("dense words", Right),
        ("dynamic words", Right),
        ("static words", Right),
    ];
    let mut table = Table::new(columns);
    let share = |share: Option<f64>| share.map_or_else(|| NOTHING.to_owned(), percent);
    let text = |own: &Glance| format!("{} ({})", own.dataset, own.protocol);
    let task = |own: &Glance| own.task.clone().unwrap_or_default();
    // What is the same in every row is said once, and its column is left out.
    let same = |field: &dyn Fn(&Glance) -> String| {
        let first = field(&all[0]);
        (all.iter().all(|own| field(own) == first) && !first.is_empty()).then_some(first)
    };
    let (same_text, same_task) = (same(&text), same(&task));
    let same_sparsity = same(&|own| shortest_decimal(own.sparsity));
    let unless = |same: &Option<String>, field: String| match same {
        Some(_) => String::new(),
        None => field,
    };
    for own in all {
        table.push([
            plain(&own.model),
            unless(&same_text, plain(&text(own))),
            or_nothing(own.dense_perplexity.map(|value| significant(value, 5))),
            percent(own.natural_sparsity),
            unless(&same_sparsity, shortest_decimal(own.sparsity)),
            format!("{} ×", significant(own.dynamic_ratio, 4)),
            format!("{} ×", significant(own.static_ratio, 4)),
            unless(&same_task, plain(&task(own))),
            share(own.dense_accuracy),
            share(own.dynamic_accuracy),
            share(own.static_accuracy),
        ]);
    }
    let of = |what: &str, same: &Option<String>| {
        same.as_ref().map(|own| format!("{what} {}", plain(own))).unwrap_or_default()
    };
    format!(
        "\n## At a glance\n\n{}\nPerplexity{}. Of the hidden entries so many are zeros anyway. A share κ{} of \
         the neurons is dropped by {SCORE}, per token (dynamic) or for good (static): multiples of the model's \
         own dense perplexity, then last words{}. Intervals and tests are in the tables below.\n",
        table.render(),
        of(" of", &same_text),
        of(" =", &same_sparsity),
        of(" of", &same_task),
    )
}
