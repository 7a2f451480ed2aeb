//! What one picture is about: one text, one sparsity and every model that has numbers there.

use std::collections::{BTreeMap, BTreeSet};

use evidence::{Row, Subject};
use judgement::Summary;
use judgement::perplexity::Perplexity;
use plan::{Protocol, Share, shortest_decimal};

use crate::format::count;

/// Something that could be drawn of a model on one text at one sparsity.
pub(super) struct Found<'a, T> {
    /// A model on a text.
    pub(super) key: Subject<'a>,
    pub(super) sparsity: f64,
    pub(super) value: T,
    /// Whether it has numbers, and is not made of places of failed and missing cells alone.
    pub(super) is_measured: bool,
}

/// What is preferred where there are as many models.
#[derive(Clone, Copy, Default)]
pub(super) struct Preferred {
    pub(super) protocol: Option<Protocol>,
    pub(super) sparsity: Option<f64>,
}

/// The chosen text and sparsity with what is drawn of them.
pub(super) struct Choice<'a, T> {
    pub(super) dataset: &'a str,
    pub(super) protocol: Protocol,
    pub(super) sparsity: f64,
    /// The models that are drawn, in the report's order.
    pub(super) shown: Vec<(&'a str, T)>,
    /// The other models of the text.
    left_out: Vec<&'a str>,
    /// Other texts with numbers.
    other_texts: Vec<String>,
}

/// Chooses the text that was ordered for most models, of equals the preferred protocol, then the first in
/// the report's order; and of its sparsities the one that was ordered for most models, of equals the
/// preferred one, then the largest. Both have numbers of some model; that cells of others failed or are
/// missing changes nothing, so that a picture does not turn away from them.
pub(super) fn choose<'a, T>(
    summary: &'a Summary,
    found: Vec<Found<'a, T>>,
    preferred: Preferred,
) -> Option<Choice<'a, T>> {
    let mut texts: Vec<(&str, Protocol)> = Vec::new();
    let measured = || found.iter().filter(|found| found.is_measured);
    for (_, dataset, protocol) in measured().map(|found| found.key) {
        if !texts.contains(&(dataset, protocol)) {
            texts.push((dataset, protocol));
        }
    }
    let n_models = |text: &(&str, Protocol)| {
        let on_text = found.iter().filter(|found| (found.key.1, found.key.2) == *text);
        on_text.map(|found| found.key.0).collect::<BTreeSet<&str>>().len()
    };
    // The first of equals: `max_by_key` takes the last.
    let (dataset, protocol) = texts
        .iter()
        .rev()
        .copied()
        .max_by_key(|text| (n_models(text), preferred.protocol == Some(text.1)))?;

    let is_of_text = |found: &Found<'a, T>| (found.key.1, found.key.2) == (dataset, protocol);
    let mut counts: BTreeMap<Share, usize> = BTreeMap::new();
    for measured in measured().filter(|found| is_of_text(found)) {
        let is_at = |other: &&Found<'a, T>| other.sparsity.total_cmp(&measured.sparsity).is_eq();
        let n_models = found.iter().filter(|found| is_of_text(found)).filter(is_at).count();
        counts.insert(Share::nearest(measured.sparsity), n_models);
    }
    let is_preferred = |sparsity: Share| preferred.sparsity.map(Share::nearest) == Some(sparsity);
    let rank =
        |(sparsity, n_models): &(Share, usize)| (*n_models, is_preferred(*sparsity), *sparsity);
    let sparsity = counts.into_iter().max_by_key(rank)?.0.get();

    let models = models_of(summary, dataset, protocol);
    let other_texts = texts.iter().filter(|text| **text != (dataset, protocol));
    let other_texts = other_texts.map(|(dataset, protocol)| format!("{dataset} ({protocol})"));
    let other_texts = other_texts.collect();
    let chosen = found
        .into_iter()
        .filter(|found| is_of_text(found) && found.sparsity.total_cmp(&sparsity).is_eq());
    let shown: Vec<(&str, T)> = chosen.map(|found| (found.key.0, found.value)).collect();
    let is_left_out = |model: &&str| shown.iter().all(|(own, _)| own != model);
    let left_out = models.into_iter().filter(is_left_out).collect();
    Some(Choice { dataset, protocol, sparsity, shown, left_out, other_texts })
}

/// The models that have a table of a text.
fn models_of<'a>(summary: &'a Summary, dataset: &str, protocol: Protocol) -> Vec<&'a str> {
    let perplexity = summary.perplexity_tables.iter();
    let perplexity =
        perplexity.filter(|table| (table.dataset.as_str(), table.protocol) == (dataset, protocol));
    let accuracy = summary.accuracy_tables.iter();
    let accuracy =
        accuracy.filter(|table| (table.dataset.as_str(), table.protocol) == (dataset, protocol));
    let names = perplexity.map(|table| table.model.as_str());
    names.chain(accuracy.map(|table| table.model.as_str())).collect()
}

impl<T> Choice<'_, T> {
    /// `wikitext2, ppl-1024`
    pub(super) fn text(&self) -> String {
        format!("{}, {}", self.dataset, self.protocol)
    }

    /// What a caption has to say of models and texts that are not in the picture.
    pub(super) fn not_shown(&self, wanting: &str) -> Vec<String> {
        let mut sentences = Vec::new();
        if !self.other_texts.is_empty() {
            sentences.push(format!("Other texts, not shown: {}.", self.other_texts.join(", ")));
        }
        if !self.left_out.is_empty() {
            let sparsity = shortest_decimal(self.sparsity);
            let models = self.left_out.join(", ");
            sentences.push(format!("Not shown, for want of {wanting} at κ={sparsity}: {models}."));
        }
        sentences
    }
}

/// `4 windows, 4092 targets`, or from the fewest to the most where rows differ.
pub(super) fn sizes<'a>(rows: impl Iterator<Item = &'a Row<Perplexity>>) -> String {
    let (windows, targets): (Vec<u64>, Vec<u64>) =
        rows.map(|row| (row.measured.n_windows as u64, row.measured.n_targets)).unzip();
    format!("{}, {}", span(&windows, "window"), span(&targets, "target"))
}

/// `4 windows`, or `3 to 4 windows`.
pub(super) fn span(numbers: &[u64], thing: &str) -> String {
    let fewest = numbers.iter().min().copied().unwrap_or(0);
    let most = numbers.iter().max().copied().unwrap_or(0);
    let most_things = count(usize::try_from(most).unwrap_or(usize::MAX), thing);
    if fewest == most { most_things } else { format!("{fewest} to {most_things}") }
}
