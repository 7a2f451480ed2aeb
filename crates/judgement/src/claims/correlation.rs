//! Claims that two scores agree as well on one corpus as on another.

use evidence::Quantity;
use plan::{ModelGroup, Part, Score};
use statistics::{StatisticsError, equivalence, mean_interval, mean_interval_bca, sign_flip_test};

use super::detectable::Detectable;
use super::finding::{Found, Place, Side};
use super::perplexity::{PERMUTATIONS, bca_or};
use super::verdict::Measurement;
use crate::atlas::{Atlas, Entry, Measure, Similarity};
use crate::perplexity::BOOTSTRAP;

/// Between every two corpora, the mean over sites of the difference of Spearman correlations lies within
/// `margin`: two one-sided sign-flip tests over sites.
pub(super) fn same<'a>(
    atlases: &[&'a Atlas],
    group: &'a ModelGroup,
    scores: (Score, Score),
    margin: f64,
) -> Vec<Found> {
    let what = format!("corr({}, {})", scores.0, scores.1);
    let quantities = quantity(scores.0).zip(quantity(scores.1));
    let mut findings = Vec::new();
    for model in &group.models {
        for (index, first) in group.corpora.iter().enumerate() {
            for second in &group.corpora[index + 1..] {
                let (dataset, what) = (format!("{first} and {second}"), what.clone());
                let place = Place { group, model, dataset, protocol: None, what };
                findings.push(match quantities {
                    Some(scores) => between(atlases, &place, [first, second], scores, margin),
                    None => place.not_measured("the atlas has no such score"),
                });
            }
        }
    }
    findings
}

/// The entries of all runs that have the correlation on one corpus: what was ordered before what was stored
/// on the way to static sets.
fn entries<'a>(
    atlases: &[&'a Atlas],
    model: &str,
    dataset: &str,
    scores: (Quantity, Quantity),
) -> Vec<(&'a Entry, &'a Similarity)> {
    let all = atlases.iter().flat_map(|atlas| &atlas.entries);
    let own = all.filter(|entry| {
        (entry.model.as_str(), entry.dataset.as_str(), entry.part) == (model, dataset, Part::Ffn)
    });
    let with = own.filter_map(|entry| {
        Some((entry, entry.correlation(scores.0, scores.1, Measure::Spearman)?))
    });
    let mut entries: Vec<_> = with.collect();
    entries.sort_by_key(|(entry, _)| entry.is_by_product);
    entries
}

/// Whether two entries may be compared: the same weights, code, device, protocol, number of windows and
/// sites.
fn agree(first: (&Entry, &Similarity), second: (&Entry, &Similarity)) -> bool {
    let identity = |(entry, _): (&'_ Entry, &Similarity)| {
        let texts = [&entry.weights_sha256, &entry.code_version, &entry.device];
        (texts.map(String::clone), entry.protocol, entry.limit)
    };
    let sites = |(_, own): (&Entry, &Similarity)| -> Vec<u32> {
        own.sites.iter().map(|site| site.site).collect()
    };
    identity(first) == identity(second) && sites(first) == sites(second)
}

fn between(
    atlases: &[&Atlas],
    place: &Place<'_>,
    corpora: [&str; 2],
    scores: (Quantity, Quantity),
    margin: f64,
) -> Found {
    let sides = corpora.map(|dataset| entries(atlases, place.model, dataset, scores));
    if let Some(absent) = (0..2).find(|&side| sides[side].is_empty()) {
        return place.not_measured(format!("not observed on {}", corpora[absent]));
    }
    let pairs =
        sides[0].iter().flat_map(|first| sides[1].iter().map(move |second| (*first, *second)));
    let Some((first, second)) = pairs.into_iter().find(|(first, second)| agree(*first, *second))
    else {
        return place.not_measured(
            "refused: other weights, code, device, protocol, number of windows or sites",
        );
    };
    let pairs = first.1.sites.iter().zip(&second.1.sites);
    let differences: Vec<f64> = pairs.filter_map(|(a, b)| Some(b.value? - a.value?)).collect();
    let cells = first.0.cell_ids.iter().chain(&second.0.cell_ids).cloned().collect();
    match judge(place, &differences, margin, cells) {
        Ok(finding) => finding,
        Err(error) => place.not_measured(format!("no interval: {error}")),
    }
}

/// The quantity of the atlas that a score is.
fn quantity(score: Score) -> Option<Quantity> {
    Quantity::ALL.into_iter().find(|quantity| quantity.as_str() == score.as_str())
}

fn judge(
    place: &Place<'_>,
    differences: &[f64],
    margin: f64,
    cells: Vec<String>,
) -> Result<Found, StatisticsError> {
    let percentile = || mean_interval(differences, BOOTSTRAP);
    let interval = bca_or(mean_interval_bca(differences, BOOTSTRAP), percentile)?;
    // The chance of so extreme a difference if the true one were at `threshold`.
    let p_at = |threshold: f64| {
        let beyond: Vec<f64> = differences.iter().map(|value| value - threshold).collect();
        Ok(sign_flip_test(&beyond, PERMUTATIONS)?.p)
    };
    let found = equivalence(interval, margin, p_at)?;
    let is_within = interval.estimate.abs() < margin;
    let measurement = Measurement {
        quantity: "difference of mean correlations".to_owned(),
        effect: interval.estimate,
        lower: Some(interval.lower),
        upper: Some(interval.upper),
        threshold: margin,
        n: differences.len(),
        unit: "sites",
        p: Some(found.p),
        p_holm: None,
        cells,
    };
    let least = PERMUTATIONS.least_p(differences.len()) / if is_within { 2.0 } else { 1.0 };
    Ok(Found {
        least_p: Some(least),
        detectable: Detectable::correlation(differences),
        ..place.measured(measurement, Side::of_margins(found.margins), Vec::new())
    })
}
