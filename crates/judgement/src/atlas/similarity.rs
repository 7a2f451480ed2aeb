//! How alike two rankings of the neurons of a site are, site by site, and the mean over sites.

use evidence::Quantity;
use serde::Serialize;
use statistics::{BootstrapPlan, ConfidenceLevel, StatisticsError, mean_interval};

/// How every interval of a mean over sites is made: percentile bootstrap, each site drawn alone. Stated
/// in the page and in the tables.
pub const BOOTSTRAP: BootstrapPlan =
    BootstrapPlan { resamples: 10_000, block_windows: 1, seed: 1, level: ConfidenceLevel::P95 };

/// A mean with the limits of its 95 % interval; none where there is one site.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// The lower limit.
    pub lower: Option<f64>,
    /// The upper limit.
    pub upper: Option<f64>,
    /// Sites that have a number.
    pub n_sites: usize,
}

impl Mean {
    /// The mean of one number a site; none without sites.
    pub fn over_sites(values: &[f64]) -> Option<Mean> {
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
pub enum Measure {
    /// The correlation of ranks.
    Spearman,
    /// The correlation of values.
    Pearson,
    /// Shared over all neurons of the two kept sets.
    Jaccard,
}

impl Measure {
    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Measure::Spearman => "spearman",
            Measure::Pearson => "pearson",
            Measure::Jaccard => "jaccard",
        }
    }
}

/// The measure at one site, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AtSite {
    /// The site.
    pub site: u32,
    /// Its layer.
    pub layer: u32,
    /// Neurons or channels compared.
    pub n: usize,
    /// None where there is none.
    pub value: Option<f64>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A measure from the first site to the last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Depth {
    /// Sites at which it is negative.
    pub n_negative: usize,
    /// Sites that have a value.
    pub n_sites: usize,
    /// Layer and value of the first of them.
    pub first: (u32, f64),
    /// Layer and value of the last.
    pub last: (u32, f64),
}

/// One measure of two rankings at every site.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Similarity {
    /// What ranks first.
    pub first: Quantity,
    /// What it is compared with.
    pub second: Quantity,
    /// What is computed of them.
    pub measure: Measure,
    /// Sparsity of the kept sets that [`Measure::Jaccard`] compares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sparsity: Option<f64>,
    /// The mean over the sites that have a value; none where none has.
    pub mean: Option<Mean>,
    /// Site by site.
    pub sites: Vec<AtSite>,
}

impl Similarity {
    /// With the mean over `sites`.
    pub fn over_sites(
        (first, second): (Quantity, Quantity),
        measure: Measure,
        sparsity: Option<f64>,
        sites: Vec<AtSite>,
    ) -> Similarity {
        let values: Vec<f64> = sites.iter().filter_map(|site| site.value).collect();
        Similarity { first, second, measure, sparsity, mean: Mean::over_sites(&values), sites }
    }

    /// How it changes with depth; none where no site has a value.
    pub fn depth(&self) -> Option<Depth> {
        let values = self.sites.iter().filter_map(|site| Some((site.layer, site.value?)));
        let values: Vec<(u32, f64)> = values.collect();
        let n_negative = values.iter().filter(|(_, value)| *value < 0.0).count();
        let (first, last) = (*values.first()?, *values.last()?);
        Some(Depth { n_negative, n_sites: values.len(), first, last })
    }

    /// Whether it is this measure of these two, in either order.
    pub fn is(&self, first: Quantity, second: Quantity, measure: Measure) -> bool {
        let pair = (self.first, self.second);
        (pair == (first, second) || pair == (second, first)) && self.measure == measure
    }
}
