//! One part of one model on one text: what its scores say of each other, of kept sets and of the loss.

use evidence::Quantity;
use evidence::joined::Joined;
use plan::{Part, Protocol};
use serde::Serialize;

use super::agreement;
use super::correlations;
use super::persistence::{self, Persistence};
use super::proxy_gap::{self, ProxyGap};
use super::similarity::{Mean, Measure, Similarity};

/// One part of one model on one text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// The model.
    pub model: String,
    /// The text.
    pub dataset: String,
    /// How it was cut.
    pub protocol: Protocol,
    /// Windows of the text at most; none for all of them.
    pub limit: Option<usize>,
    /// What was observed.
    pub part: Part,
    /// Whether nothing of it was ordered: it was stored on the way to static sets.
    pub is_by_product: bool,
    /// The hash of the model's weights.
    pub weights_sha256: String,
    /// The version of the code.
    pub code_version: String,
    /// What computed it.
    pub device: String,
    /// The cells that it was joined of.
    pub cell_ids: Vec<String>,
    /// Sites of the part.
    pub n_sites: usize,
    /// Neurons or channels of all sites.
    pub n_places: usize,
    /// What was not observed or was left out.
    pub notes: Vec<String>,
    /// What was observed, in the order of the tables.
    pub scores: Vec<Quantity>,
    /// Scores that do not vary at some sites, with the layers of these.
    pub constant: Vec<(Quantity, Vec<u32>)>,
    /// Share of the ablated neurons or channels without which the loss is lower; none without ablation. The
    /// more there are, the more a rank correlation with the rise of the loss is one with its sign.
    pub ablation_lowers: Option<f64>,
    /// Spearman and Pearson of every two scores.
    pub correlations: Vec<Similarity>,
    /// What every two scores' kept sets share.
    pub agreement: Vec<Similarity>,
    /// Of the state: whether weights tell what it carries.
    pub proxy_gap: Option<ProxyGap>,
    /// One for each W of an ablation, ascending.
    pub persistence: Vec<Persistence>,
}

fn ablation_lowers(joined: &Joined) -> Option<f64> {
    let values = joined.sites.iter().filter_map(|site| site.values(Quantity::Ablation));
    let values: Vec<f64> = values.flatten().copied().flatten().collect();
    let n_lower = values.iter().filter(|value| **value < 0.0).count();
    (!values.is_empty()).then(|| n_lower as f64 / values.len() as f64)
}

impl Entry {
    /// Of what was observed.
    pub fn from_joined(joined: &Joined) -> Entry {
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
            correlations: correlations::of_all_pairs(joined),
            agreement: agreement::of_all_pairs(joined),
            proxy_gap: proxy_gap::proxy_gap(joined),
            persistence: joined.ablations.iter().filter_map(persistence::by_half_life).collect(),
        }
    }

    /// The correlation of two quantities.
    pub fn correlation(
        &self,
        first: Quantity,
        second: Quantity,
        measure: Measure,
    ) -> Option<&Similarity> {
        self.correlations.iter().find(|similarity| similarity.is(first, second, measure))
    }

    /// The agreement of two quantities' kept sets.
    pub fn agreement_at(
        &self,
        first: Quantity,
        second: Quantity,
        sparsity: f64,
    ) -> Option<&Similarity> {
        let is_at = |other: &Similarity| other.sparsity.is_some_and(|own| own == sparsity);
        let mut similarities = self.agreement.iter().filter(|similarity| is_at(similarity));
        similarities.find(|similarity| similarity.is(first, second, Measure::Jaccard))
    }

    /// The scores by how well each tells what dropping a neuron or channel alone does to the loss, the best
    /// first.
    pub fn predictors(&self) -> Vec<(Quantity, Mean)> {
        let scores = self.scores.iter().filter(|score| **score != Quantity::Ablation);
        let rated = scores.filter_map(|&score| {
            Some((score, self.correlation(score, Quantity::Ablation, Measure::Spearman)?.mean?))
        });
        let mut rated: Vec<(Quantity, Mean)> = rated.collect();
        rated.sort_by(|a, b| b.1.value.total_cmp(&a.1.value));
        rated
    }
}
