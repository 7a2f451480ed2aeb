//! Claims that two scores agree as well on one corpus as on another.

use plan::{ModelGroup, Part, Score};
use statistics::{Interval, StatisticsError, mean_interval, mean_interval_bca, sign_flip_test};

use super::Measurement;
use super::evidence::{Evidence, Finding, Place, Side};
use super::perplexity::PERMUTATIONS;
use crate::atlas::{Entry, Measure, Quantity};
use crate::perplexity::BOOTSTRAP;
use crate::run::Run;

/// Between every two corpora, the mean over sites of the difference of Spearman correlations lies within
/// `margin`: two one-sided sign-flip tests over sites.
pub(super) fn same<'a>(
    evidence: &Evidence<'a>,
    group: &'a ModelGroup,
    scores: (Score, Score),
    margin: f64,
) -> Vec<Finding> {
    let what = format!("corr({}, {})", scores.0, scores.1);
    let mut findings = Vec::new();
    for model in &group.models {
        for (index, first) in group.corpora.iter().enumerate() {
            for second in &group.corpora[index + 1..] {
                let (dataset, what) = (format!("{first} and {second}"), what.clone());
                let place = Place { group, model, dataset, protocol: None, what };
                let sides = [first, second].map(|dataset| (dataset.as_str(), scores));
                findings.push(between(evidence, &place, sides, margin));
            }
        }
    }
    findings
}

/// What one corpus says.
struct Correlations {
    /// By site.
    values: Vec<(u32, Option<f64>)>,
    limit: Option<usize>,
    cell: String,
}

fn between(
    evidence: &Evidence<'_>,
    place: &Place<'_>,
    sides: [(&str, (Score, Score)); 2],
    margin: f64,
) -> Finding {
    let of_side = |(dataset, scores)| {
        let found = evidence.runs.iter().find_map(|(run, atlas)| {
            let own = |entry: &&Entry| {
                (entry.model.as_str(), entry.dataset.as_str(), entry.part)
                    == (place.model, dataset, Part::Ffn)
            };
            let mut entries = atlas.entries.iter().filter(own);
            entries.find_map(|entry| correlations(run, entry, scores))
        });
        found.ok_or_else(|| format!("not observed on {dataset}"))
    };
    let [first, second] = match sides.map(of_side) {
        [Ok(first), Ok(second)] => [first, second],
        [Err(why), _] | [_, Err(why)] => return place.not_measured(why),
    };
    let sites = |side: &Correlations| side.values.iter().map(|(site, _)| *site).collect::<Vec<_>>();
    if sites(&first) != sites(&second) || first.limit != second.limit {
        return place.not_measured("refused: other sites, or windows of another number");
    }
    let pairs = first.values.iter().zip(&second.values);
    let differences: Vec<f64> = pairs.filter_map(|(a, b)| Some(b.1? - a.1?)).collect();
    match judge(place, &differences, margin, vec![first.cell, second.cell]) {
        Ok(finding) => finding,
        Err(error) => place.not_measured(format!("no interval: {error}")),
    }
}

/// The Spearman correlation of two scores at every site of an entry.
fn correlations(run: &Run, entry: &Entry, (first, second): (Score, Score)) -> Option<Correlations> {
    let quantity = |score: Score| {
        Quantity::ALL.into_iter().find(|quantity| quantity.as_str() == score.as_str())
    };
    let similarity = entry.correlation(quantity(first)?, quantity(second)?, Measure::Spearman)?;
    let values = similarity.sites.iter().map(|site| (site.site, site.value)).collect();
    let mut observed = run.observed.iter().filter(|observed| {
        let cell = &observed.cell;
        let is_of = (cell.model.as_str(), cell.dataset.as_str(), cell.treatment.part);
        is_of == (entry.model.as_str(), entry.dataset.as_str(), entry.part)
            && cell.treatment.observation == Some(plan::Observation::Forward)
            && cell.limit == entry.limit
    });
    let cell = observed.next().map(|observed| observed.id.clone())?;
    Some(Correlations { values, limit: entry.limit, cell })
}

fn judge(
    place: &Place<'_>,
    differences: &[f64],
    margin: f64,
    cells: Vec<String>,
) -> Result<Finding, StatisticsError> {
    let interval = interval(differences)?;
    let is_within = interval.estimate.abs() < margin;
    // The chance of so extreme a difference if the true one were at `threshold`.
    let one_sided = |threshold: f64| {
        let beyond: Vec<f64> = differences.iter().map(|value| value - threshold).collect();
        Ok::<f64, StatisticsError>(sign_flip_test(&beyond, PERMUTATIONS)?.p / 2.0)
    };
    let p = match is_within {
        true => one_sided(margin)?.max(one_sided(-margin)?),
        false => 2.0 * one_sided(margin.copysign(interval.estimate))?,
    };
    let side = match () {
        () if -margin < interval.lower && interval.upper < margin => Side::For,
        () if interval.upper < -margin || interval.lower > margin => Side::Against,
        () => Side::Between,
    };
    let measurement = Measurement {
        quantity: "difference of mean correlations".to_owned(),
        effect: interval.estimate,
        lower: Some(interval.lower),
        upper: Some(interval.upper),
        threshold: margin,
        n: differences.len(),
        unit: "sites",
        p: Some(p),
        p_holm: None,
        cells,
    };
    let least = PERMUTATIONS.least_p(differences.len()) / if is_within { 2.0 } else { 1.0 };
    Ok(Finding { least_p: Some(least), ..place.measured(measurement, side, String::new()) })
}

/// BCa where it exists, else the percentile interval.
fn interval(differences: &[f64]) -> Result<Interval, StatisticsError> {
    match mean_interval_bca(differences, BOOTSTRAP) {
        Ok(bca) => Ok(bca.interval),
        Err(StatisticsError::NoBca { .. }) => mean_interval(differences, BOOTSTRAP),
        Err(error) => Err(error),
    }
}
