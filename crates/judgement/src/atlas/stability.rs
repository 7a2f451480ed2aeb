//! Is a score the same on another text? One score on two texts of one model.

use evidence::Quantity;
use evidence::joined::{Joined, Site};
use plan::Part;
use rayon::prelude::*;
use serde::Serialize;

use super::agreement::{self, SPARSITIES, kept_at};
use super::correlations;
use super::similarity::{AtSite, Measure, Similarity};

/// One score on two texts: correlation and kept sets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stability {
    /// The model.
    pub model: String,
    /// What was observed.
    pub part: Part,
    /// One text.
    pub first_dataset: String,
    /// The other.
    pub second_dataset: String,
    /// Windows of the first at most; none for all of them.
    pub first_limit: Option<usize>,
    /// Windows of the second at most.
    pub second_limit: Option<usize>,
    /// The score.
    pub score: Quantity,
    /// Spearman, and Jaccard at every sparsity.
    pub similarities: Vec<Similarity>,
}

impl Stability {
    /// The names of the two texts, with their limits where these differ.
    pub fn texts(&self) -> [String; 2] {
        let name = |dataset: &str, limit: Option<usize>| match limit {
            _ if self.first_limit == self.second_limit => dataset.to_owned(),
            Some(limit) => format!("{dataset} (limit {limit})"),
            None => format!("{dataset} (no limit)"),
        };
        [name(&self.first_dataset, self.first_limit), name(&self.second_dataset, self.second_limit)]
    }
}

/// Every score on every two texts of a model; weights are the same on every text and are left out.
/// Observations of other weights, by other code or on another device are not set side by side; each
/// text has its own limit.
pub(super) fn over_texts(all: &[Joined]) -> Vec<Stability> {
    let mut wanted = Vec::new();
    for (index, first) in all.iter().enumerate() {
        for second in &all[index + 1..] {
            if origin(first) == origin(second) {
                let scores = first.quantities().into_iter();
                let of_text = scores.filter(|score| !score.is_of_weights() && second.has(*score));
                wanted.extend(of_text.map(|score| (first, second, score)));
            }
        }
    }
    wanted.par_iter().map(|(first, second, score)| between(first, second, *score)).collect()
}

/// What two texts have in common that are set side by side.
fn origin(joined: &Joined) -> (Part, [&str; 4]) {
    let Joined { model, weights_sha256, code_version, device, .. } = joined;
    (joined.part, [model, weights_sha256, code_version, device].map(String::as_str))
}

fn between(first: &Joined, second: &Joined, score: Quantity) -> Stability {
    let over_sites = |at_site: &dyn Fn(&Site, &Site) -> AtSite| {
        let pairs = first.sites.iter().filter_map(|site| {
            let is_same = |other: &&Site| (other.site, other.layer) == (site.site, site.layer);
            Some((site, second.sites.iter().find(is_same)?))
        });
        pairs.map(|(site, other)| at_site(site, other)).collect::<Vec<_>>()
    };
    let pair = (score, score);
    let correlated = over_sites(&|site, other| {
        let (ours, theirs) = on_both(site, other, score);
        correlations::at_site(site, Measure::Spearman, &ours, &theirs)
    });
    let mut similarities = vec![Similarity::over_sites(pair, Measure::Spearman, None, correlated)];
    for sparsity in SPARSITIES {
        let agreeing = over_sites(&|site, other| {
            let has_same_places = site.places == other.places;
            let theirs = kept_at(other, score, sparsity).filter(|_| has_same_places);
            agreement::at_site(site, &kept_at(site, score, sparsity), &theirs)
        });
        let jaccard = Similarity::over_sites(pair, Measure::Jaccard, Some(sparsity), agreeing);
        similarities.extend(jaccard.mean.is_some().then_some(jaccard));
    }
    Stability {
        model: first.model.clone(),
        part: first.part,
        first_dataset: first.dataset.clone(),
        second_dataset: second.dataset.clone(),
        first_limit: first.limit,
        second_limit: second.limit,
        score,
        similarities,
    }
}

/// The scores of the places that have one on both texts.
fn on_both(site: &Site, other: &Site, score: Quantity) -> (Vec<f64>, Vec<f64>) {
    let (Some(ours), Some(theirs)) = (site.values(score), other.values(score)) else {
        return (Vec::new(), Vec::new());
    };
    let pairs = site.places.iter().zip(ours).filter_map(|(place, value)| {
        let position = other.places.binary_search(place).ok()?;
        value.zip(theirs[position])
    });
    pairs.unzip()
}
