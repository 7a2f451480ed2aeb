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

use plan::{Part, Protocol};
use serde::Serialize;

use crate::observed::Observed;
use findings::Findings;
use join::{Joined, join};
use overlap::Overlap;
use persistence::Persistence;
use proxy_gap::ProxyGap;
use stability::Stability;

pub(crate) use page::{heading, section};
pub(crate) use quantity::Quantity;
pub(crate) use similarity::{Measure, Similarity};
pub(crate) use tables::write;

/// One part of one model on one text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Entry {
    pub(crate) model: String,
    pub(crate) dataset: String,
    pub(crate) protocol: Protocol,
    pub(crate) part: Part,
    pub(crate) n_sites: usize,
    /// Neurons or channels of all sites.
    pub(crate) n_places: usize,
    /// What was not observed or was left out.
    pub(crate) notes: Vec<String>,
    /// What was observed, in the order of the tables.
    pub(crate) scores: Vec<Quantity>,
    /// Scores that do not vary at some sites, with the layers of these.
    pub(crate) constant: Vec<(Quantity, Vec<u32>)>,
    pub(crate) correlations: Vec<Similarity>,
    pub(crate) agreement: Vec<Similarity>,
    pub(crate) proxy_gap: Option<ProxyGap>,
    pub(crate) persistence: Option<Persistence>,
}

/// The atlas of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(crate) struct Atlas {
    /// One a model, by name.
    pub(crate) findings: Vec<Findings>,
    /// By model, text and part.
    pub(crate) entries: Vec<Entry>,
    pub(crate) stability: Vec<Stability>,
    pub(crate) overlaps: Vec<Overlap>,
}

impl Atlas {
    pub(crate) fn of(observed: &[Observed]) -> Atlas {
        let joined = join(observed);
        let entries: Vec<Entry> = joined.iter().map(Entry::of).collect();
        let stability = stability::of(&joined);
        let overlaps = overlap::of(observed);
        let models: BTreeSet<&str> = observed.iter().map(|own| own.cell.model.as_str()).collect();
        let findings =
            models.into_iter().map(|model| findings::of(model, &entries, &stability, &overlaps));
        Atlas { findings: findings.collect(), entries, stability, overlaps }
    }

    /// The sentences that open the page.
    pub(crate) fn headlines(&self) -> impl Iterator<Item = &String> {
        self.findings.iter().flat_map(|findings| &findings.headlines)
    }
}

impl Entry {
    fn of(joined: &Joined) -> Entry {
        Entry {
            model: joined.model.clone(),
            dataset: joined.dataset.clone(),
            protocol: joined.protocol,
            part: joined.part,
            n_sites: joined.sites.len(),
            n_places: joined.sites.iter().map(|site| site.places.len()).sum(),
            notes: joined.notes.clone(),
            scores: joined.quantities(),
            constant: joined.constant(),
            correlations: correlations::of(joined),
            agreement: agreement::of(joined),
            proxy_gap: proxy_gap::of(joined),
            persistence: persistence::of(joined),
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
