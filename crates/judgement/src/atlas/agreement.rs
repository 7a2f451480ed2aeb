//! Would two scores keep the same neurons? Jaccard of their kept sets; of state channels, which are
//! chosen over all groups of a layer, pooled over the groups of a site.

use std::collections::BTreeMap;

use evidence::Quantity;
use evidence::joined::{Joined, Site};
use rayon::prelude::*;

use super::correlations::pairs;
use super::similarity::{AtSite, Measure, Similarity};

/// Sparsities at which kept sets are compared.
pub const SPARSITIES: [f64; 2] = [0.5, 0.9];

/// Which neurons a score keeps at each site of a text, where it keeps any.
type Sets = Vec<Option<Vec<bool>>>;

/// The Jaccard index of every two quantities' kept sets at every sparsity.
pub(super) fn of_all_pairs(joined: &Joined) -> Vec<Similarity> {
    let quantities = joined.quantities();
    let at = |&sparsity: &f64| {
        let sets = |&quantity: &Quantity| (quantity, sets(joined, quantity, sparsity));
        let sets: BTreeMap<Quantity, Sets> = quantities.par_iter().map(sets).collect();
        let agreement = |pair: &(Quantity, Quantity)| {
            let (first, second) = (&sets[&pair.0], &sets[&pair.1]);
            let both = joined.sites.iter().zip(first.iter().zip(second));
            let sites = both.map(|(site, (first, second))| at_site(site, first, second));
            Similarity::over_sites(*pair, Measure::Jaccard, Some(sparsity), sites.collect())
        };
        pairs(&quantities).par_iter().map(agreement).collect::<Vec<_>>()
    };
    let similarities = SPARSITIES.iter().flat_map(at);
    // A score that only a sample has keeps no set anywhere.
    similarities.filter(|similarity| similarity.mean.is_some()).collect()
}

fn sets(joined: &Joined, quantity: Quantity, sparsity: f64) -> Sets {
    joined.sites.iter().map(|site| kept_at(site, quantity, sparsity)).collect()
}

/// Which neurons or channels of a site a score keeps; nothing where only a sample has it, or where it is
/// constant and keeps the first ones for want of a choice.
pub(super) fn kept_at(site: &Site, quantity: Quantity, sparsity: f64) -> Option<Vec<bool>> {
    let scores = site.all(quantity).filter(|_| !site.is_constant(quantity))?;
    Some(kept(&scores, sparsity))
}

/// The Jaccard index of two kept sets, or why there is none.
pub(super) fn at_site(
    site: &Site,
    first: &Option<Vec<bool>>,
    second: &Option<Vec<bool>>,
) -> AtSite {
    let value = first.as_ref().zip(second.as_ref()).map(|(first, second)| jaccard(first, second));
    let why = value.is_none().then(|| "a score is constant or of a sample only".to_owned());
    AtSite { site: site.site, layer: site.layer, n: site.places.len(), value, why }
}

/// Which survive: the `k = max(1, round((1 − κ)·F))` largest, ties to the lowest index.
pub(super) fn kept(scores: &[f64], sparsity: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    // Stable: of equal scores the lower index stays first.
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut kept = vec![false; scores.len()];
    order.iter().take(kept_count(scores.len(), sparsity)).for_each(|&index| kept[index] = true);
    kept
}

/// As the executors round: half away from zero, and 1 − κ is inexact, so that (1 − 0.9)·15 has to be
/// nudged back to 1.5.
fn kept_count(neurons: usize, sparsity: f64) -> usize {
    let exact = (1.0 - sparsity) * neurons as f64;
    let nudged = (exact * 1e9).round() / 1e9;
    (nudged.round() as usize).max(1)
}

/// Members of both sets over members of either.
fn jaccard(first: &[bool], second: &[bool]) -> f64 {
    let pairs = || first.iter().zip(second);
    let both = pairs().filter(|(first, second)| **first && **second).count();
    let either = pairs().filter(|(first, second)| **first || **second).count();
    both as f64 / either as f64
}

#[cfg(test)]
mod tests {
    use super::{jaccard, kept, kept_count};

    #[test]
    fn kept_sets_follow_the_specification() {
        assert_eq!(kept_count(15, 0.9), 2, "1.5 is rounded away from zero");
        assert_eq!(kept_count(1536, 0.9), 154);
        assert_eq!(kept_count(4, 0.99), 1);
        let all_alike = kept(&[1.0; 5], 0.5);
        assert_eq!(all_alike, [true, true, true, false, false], "2.5 gives 3, the first ones");
        let (first, second) = (kept(&[4.0, 3.0, 2.0, 1.0], 0.5), kept(&[4.0, 1.0, 2.0, 3.0], 0.5));
        assert_eq!(jaccard(&first, &second), 1.0 / 3.0);
    }
}
