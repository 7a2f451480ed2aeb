//! The atlas of a run.

use std::collections::BTreeSet;

use evidence::Run;
use evidence::joined::join;
use plan::{OrderedCell, Part, Policy, Score};
use serde::Serialize;

use super::entry::Entry;
use super::overlap::{self, Overlap};
use super::stability::{self, Stability};

/// The atlas of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Atlas {
    /// The models of which something was observed, by name.
    #[serde(skip)]
    pub models: Vec<String>,
    /// Whether its sentences and its picture open the page: where the order asked for scores, or
    /// where there is no order.
    pub opens_page: bool,
    /// By model, what was ordered before the by-products, then by text and part.
    pub entries: Vec<Entry>,
    /// Every score on every two texts of a model.
    pub stability: Vec<Stability>,
    /// How fast kept sets change.
    pub overlaps: Vec<Overlap>,
}

impl Atlas {
    /// Of what a run observed.
    pub fn from_run(run: &Run) -> Atlas {
        let joined = join(&run.observed, &run.by_products);
        let is_observe = |ordered: &OrderedCell| {
            let flat = ordered.cell.recipe.treatment();
            flat.is_some_and(|own| own.policy == Policy::Observe)
        };
        let opens_page = run.order.as_ref().is_none_or(|order| order.cells.iter().any(is_observe));
        let models: BTreeSet<&String> = run.observed.iter().map(|own| &own.cell.model).collect();
        Atlas {
            models: models.into_iter().cloned().collect(),
            opens_page,
            entries: joined.iter().map(Entry::from_joined).collect(),
            stability: stability::over_texts(&joined),
            overlaps: overlap::by_distance(&run.observed),
        }
    }

    /// The entries of a part of a model.
    pub fn entries_of(&self, model: &str, part: Part) -> Vec<&Entry> {
        let of_model = self.entries.iter().filter(|entry| entry.model == model);
        of_model.filter(|entry| entry.part == part).collect()
    }

    /// The overlaps of a model where few are kept: at lower sparsity the sets of a ReLU model are filled
    /// up with zeros. The control says nothing of how fast sets change.
    pub fn sparsest_overlap(&self, model: &str) -> Option<&Overlap> {
        let own = self.overlaps.iter().filter(|o| o.model == model && o.score != Score::Random);
        own.rev().max_by(|a, b| a.sparsity.total_cmp(&b.sparsity))
    }
}
