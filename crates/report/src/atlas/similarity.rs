//! How alike two rankings of the neurons of a site are, site by site, and the mean over sites.

use serde::Serialize;
use statistics::{BootstrapPlan, ConfidenceLevel, StatisticsError, mean_interval};

use super::quantity::Quantity;

/// How every interval of a mean over sites is made: percentile bootstrap, each site drawn alone. Stated
/// in the page and in the tables.
pub(crate) const BOOTSTRAP: BootstrapPlan =
    BootstrapPlan { resamples: 10_000, block_windows: 1, seed: 1, level: ConfidenceLevel::P95 };

/// A mean with the limits of its 95 % interval; none where there is one site.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Mean {
    pub(crate) value: f64,
    pub(crate) lower: Option<f64>,
    pub(crate) upper: Option<f64>,
    pub(crate) n_sites: usize,
}

impl Mean {
    /// The mean of one number a site; none without sites.
    pub(crate) fn of(values: &[f64]) -> Option<Mean> {
        let n_sites = values.len();
        match mean_interval(values, BOOTSTRAP) {
            Ok(interval) => Some(Mean {
                value: interval.estimate,
                lower: Some(interval.lower),
                upper: Some(interval.upper),
                n_sites,
            }),
            Err(StatisticsError::TooFew { .. }) => {
                let value = *values.first()?;
                Some(Mean { value, lower: None, upper: None, n_sites })
            }
            Err(_) => None,
        }
    }
}

/// What is computed of two rankings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Measure {
    Spearman,
    Pearson,
    /// Shared over all neurons of the two kept sets.
    Jaccard,
}

impl Measure {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Measure::Spearman => "spearman",
            Measure::Pearson => "pearson",
            Measure::Jaccard => "jaccard",
        }
    }
}

/// The measure at one site, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct AtSite {
    pub(crate) site: u32,
    pub(crate) layer: u32,
    /// Neurons or channels compared.
    pub(crate) n: usize,
    pub(crate) value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
}

/// One measure of two rankings at every site.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Similarity {
    pub(crate) first: Quantity,
    pub(crate) second: Quantity,
    pub(crate) measure: Measure,
    /// Sparsity of the kept sets that [`Measure::Jaccard`] compares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sparsity: Option<f64>,
    /// The mean over the sites that have a value; none where none has.
    pub(crate) mean: Option<Mean>,
    pub(crate) sites: Vec<AtSite>,
}

impl Similarity {
    pub(crate) fn of(
        (first, second): (Quantity, Quantity),
        measure: Measure,
        sparsity: Option<f64>,
        sites: Vec<AtSite>,
    ) -> Similarity {
        let values: Vec<f64> = sites.iter().filter_map(|site| site.value).collect();
        Similarity { first, second, measure, sparsity, mean: Mean::of(&values), sites }
    }

    pub(crate) fn is(&self, first: Quantity, second: Quantity, measure: Measure) -> bool {
        let pair = (self.first, self.second);
        (pair == (first, second) || pair == (second, first)) && self.measure == measure
    }
}
