//! Does one score predict another? Spearman and Pearson between every two scores of a site.

use evidence::Quantity;
use evidence::joined::{Joined, Site};
use rayon::prelude::*;
use statistics::{StatisticsError, pearson, spearman};

use super::similarity::{AtSite, Measure, Similarity};

/// Both correlations of every two quantities.
pub(super) fn of_all_pairs(joined: &Joined) -> Vec<Similarity> {
    let wanted: Vec<_> = pairs(&joined.quantities())
        .into_iter()
        .flat_map(|pair| [(pair, Measure::Spearman), (pair, Measure::Pearson)])
        .collect();
    let correlation = |&((first, second), measure): &((Quantity, Quantity), Measure)| {
        let sites = joined.sites.iter().map(|site| {
            let (first, second) = site.both(first, second);
            at_site(site, measure, &first, &second)
        });
        Similarity::over_sites((first, second), measure, None, sites.collect())
    };
    wanted.par_iter().map(correlation).collect()
}

/// Every two of them, each pair once.
pub(super) fn pairs(quantities: &[Quantity]) -> Vec<(Quantity, Quantity)> {
    let with_later = |(index, &first): (usize, &Quantity)| {
        quantities[index + 1..].iter().map(move |&second| (first, second)).collect::<Vec<_>>()
    };
    quantities.iter().enumerate().flat_map(with_later).collect()
}

/// The correlation of two lists that belong to `site`, or why there is none.
pub(super) fn at_site(site: &Site, measure: Measure, first: &[f64], second: &[f64]) -> AtSite {
    let correlation = match measure {
        Measure::Pearson => pearson(first, second),
        _ => spearman(first, second),
    };
    let (value, why) = match correlation {
        Ok(value) => (Some(value), None),
        Err(StatisticsError::TooFew { got: 0, .. }) => (None, Some("not observed".to_owned())),
        Err(StatisticsError::TooFew { .. }) => (None, Some("a single value".to_owned())),
        Err(StatisticsError::Constant { .. }) => (None, Some("constant".to_owned())),
        Err(other) => (None, Some(other.to_string())),
    };
    AtSite { site: site.site, layer: site.layer, n: first.len(), value, why }
}
