//! The importance atlas: does size predict importance, would two scores keep the same neurons, is a
//! score the same on another text, and how long do neurons and channels stay important?
//!
//! Made of what `observe` cells measured; every mean over sites has an interval over sites.

mod agreement;
mod correlations;
mod findings;
mod join;
mod overlap;
mod page;
mod persistence;
mod proxy_gap;
mod quantity;
mod similarity;
mod stability;
mod tables;

use std::collections::BTreeSet;

use plan::{OrderedCell, Part, Policy, Protocol};
use serde::Serialize;

use crate::findings::Finding;
use crate::run::Run;
use findings::Findings;
use join::{Joined, join};
use persistence::Persistence;
use proxy_gap::ProxyGap;
use stability::Stability;

pub(crate) use overlap::{Lag, Overlap};
pub(crate) use page::{heading, section, with_limits};
pub(crate) use quantity::Quantity;
pub(crate) use similarity::{BOOTSTRAP, Mean, Measure, Similarity};
pub(crate) use tables::write;

/// One part of one model on one text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Entry {
    pub(crate) model: String,
    pub(crate) dataset: String,
    pub(crate) protocol: Protocol,
    /// Windows of the text at most; none for all of them.
    pub(crate) limit: Option<usize>,
    pub(crate) part: Part,
    /// Whether nothing of it was ordered: it was stored on the way to static sets.
    pub(crate) is_by_product: bool,
    pub(crate) weights_sha256: String,
    pub(crate) code_version: String,
    pub(crate) device: String,
    /// The cells that it was joined of.
    pub(crate) cell_ids: Vec<String>,
    pub(crate) n_sites: usize,
    /// Neurons or channels of all sites.
    pub(crate) n_places: usize,
    /// What was not observed or was left out.
    pub(crate) notes: Vec<String>,
    /// What was observed, in the order of the tables.
    pub(crate) scores: Vec<Quantity>,
    /// Scores that do not vary at some sites, with the layers of these.
    pub(crate) constant: Vec<(Quantity, Vec<u32>)>,
    /// Share of the ablated neurons or channels without which the loss is lower; none without ablation. The
    /// more there are, the more a rank correlation with the rise of the loss is one with its sign.
    pub(crate) ablation_lowers: Option<f64>,
    pub(crate) correlations: Vec<Similarity>,
    pub(crate) agreement: Vec<Similarity>,
    pub(crate) proxy_gap: Option<ProxyGap>,
    /// One for each W of an ablation, ascending.
    pub(crate) persistence: Vec<Persistence>,
}

/// The atlas of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Atlas {
    /// One a model, by name.
    pub(crate) findings: Vec<Findings>,
    /// Whether its sentences and its picture open the page: where the order asked for scores, or
    /// where there is no order.
    pub(crate) opens_page: bool,
    /// By model, what was ordered before the by-products, then by text and part.
    pub(crate) entries: Vec<Entry>,
    pub(crate) stability: Vec<Stability>,
    pub(crate) overlaps: Vec<Overlap>,
}

impl Atlas {
    pub(crate) fn of(run: &Run) -> Atlas {
        let observed = &run.observed;
        let joined = join(observed, &run.by_products);
        let is_observe = |ordered: &OrderedCell| ordered.cell.treatment.policy == Policy::Observe;
        let opens_page = run.order.as_ref().is_none_or(|order| order.cells.iter().any(is_observe));
        let entries: Vec<Entry> = joined.iter().map(Entry::of).collect();
        let stability = stability::of(&joined);
        let overlaps = overlap::of(observed);
        let models: BTreeSet<&str> = observed.iter().map(|own| own.cell.model.as_str()).collect();
        let findings =
            models.into_iter().map(|model| findings::of(model, &entries, &stability, &overlaps));
        Atlas { findings: findings.collect(), opens_page, entries, stability, overlaps }
    }

    /// The sentences that open the page, if any do.
    pub(crate) fn headlines(&self) -> impl Iterator<Item = Finding> {
        let findings = self.findings.iter().filter(|_| self.opens_page);
        findings.flat_map(|own| {
            own.headlines.iter().map(|text| Finding::of_model(&own.model, text.clone()))
        })
    }
}

fn ablation_lowers(joined: &Joined) -> Option<f64> {
    let values = joined.sites.iter().filter_map(|site| site.values(Quantity::Ablation));
    let values: Vec<f64> = values.flatten().copied().flatten().collect();
    let n_lower = values.iter().filter(|value| **value < 0.0).count();
    (!values.is_empty()).then(|| n_lower as f64 / values.len() as f64)
}

impl Entry {
    fn of(joined: &Joined) -> Entry {
        Entry {
            model: joined.model.clone(),
            dataset: joined.dataset.clone(),
            protocol: joined.protocol,
            limit: joined.limit,
            part: joined.part,
            is_by_product: joined.is_by_product,
            weights_sha256: joined.weights_sha256.clone(),
            code_version: joined.code_version.clone(),
            device: joined.device.clone(),
            cell_ids: joined.cell_ids.clone(),
            n_sites: joined.sites.len(),
            n_places: joined.sites.iter().map(|site| site.places.len()).sum(),
            notes: joined.notes.clone(),
            scores: joined.quantities(),
            constant: joined.constant(),
            ablation_lowers: ablation_lowers(joined),
            correlations: correlations::of(joined),
            agreement: agreement::of(joined),
            proxy_gap: proxy_gap::of(joined),
            persistence: joined.ablations.iter().filter_map(persistence::of).collect(),
        }
    }

    /// The correlation of two quantities.
    pub(crate) fn correlation(
        &self,
        first: Quantity,
        second: Quantity,
        measure: Measure,
    ) -> Option<&Similarity> {
        self.correlations.iter().find(|similarity| similarity.is(first, second, measure))
    }

    /// The agreement of two quantities' kept sets.
    pub(crate) fn agreement_at(
        &self,
        first: Quantity,
        second: Quantity,
        sparsity: f64,
    ) -> Option<&Similarity> {
        let is_at = |other: &Similarity| other.sparsity.is_some_and(|own| own == sparsity);
        let mut similarities = self.agreement.iter().filter(|similarity| is_at(similarity));
        similarities.find(|similarity| similarity.is(first, second, Measure::Jaccard))
    }
}
