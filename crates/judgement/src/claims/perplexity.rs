//! Claims about perplexity: against dense, and of one score against another.

use evidence::{Archive, CellResult, differences};
use plan::{Measure, ModelGroup, Protocol, Recipe};
use statistics::{
    Bca, Interval, PermutationPlan, StatisticsError, WindowLoss, perplexity_ratio_interval,
    perplexity_ratio_interval_bca, perplexity_ratio_p,
};

use super::detectable::Detectable;
use super::finding::{Found, Place, Side, describe, of_alike, reason};
use super::verdict::{Measurement, Note, Reason};
use crate::perplexity::{BOOTSTRAP, losses};

/// How the p-value of a ratio is drawn where there are too many windows to visit all signs.
pub(super) const PERMUTATIONS: PermutationPlan = PermutationPlan { permutations: 100_000, seed: 1 };

/// On which side of a threshold a claim wants a ratio.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn times(self) -> f64 {
        match self {
            Bound::AtLeast(times) | Bound::AtMost(times) => times,
        }
    }

    fn side(self, interval: Interval) -> Side {
        let at_least = Side::at_least(interval.lower, interval.upper, self.times());
        match self {
            Bound::AtLeast(_) => at_least,
            Bound::AtMost(_) => at_least.reversed(),
        }
    }
}

/// Calls `find` for every model, text and protocol of a group; a text that was not run is one place.
pub(super) fn at_every_text<'a>(
    evidence: &Archive<'a>,
    group: &'a ModelGroup,
    what: &str,
    mut find: impl FnMut(&Place<'a>, Protocol) -> Found,
) -> Vec<Found> {
    let mut findings = Vec::new();
    for model in &group.models {
        for dataset in &group.texts {
            let (dataset, what) = (dataset.clone(), what.to_owned());
            let place = Place { group, model, dataset, protocol: None, what };
            let protocols = evidence.protocols(model, &place.dataset, Measure::MeanLoss);
            if protocols.is_empty() {
                findings.push(place.not_measured(Reason::NotRun));
            }
            for protocol in protocols {
                let place = Place { protocol: Some(protocol), ..place.clone() };
                findings.push(find(&place, protocol));
            }
        }
    }
    findings
}

/// The perplexity of each recipe as a multiple of that of dense.
pub(super) fn against_dense<'a>(
    evidence: &Archive<'a>,
    group: &'a ModelGroup,
    recipes: &[Recipe],
    bound: Bound,
) -> Vec<Found> {
    let of_recipe = |recipe: &Recipe| {
        at_every_text(evidence, group, &describe(recipe), |place, protocol| {
            let key = (place.model, place.dataset.as_str(), protocol);
            let Some(found) = evidence.find(key, recipe) else {
                return place.not_measured(reason(evidence.absence(key, recipe)));
            };
            match evidence.dense_of(found.result) {
                Ok(dense) => {
                    let pair = (found.result, dense);
                    let note = of_alike(&found);
                    compare(place, pair, "perplexity × dense", (bound, note))
                }
                Err(why) => place.not_measured(why),
            }
        })
    };
    recipes.iter().flat_map(of_recipe).collect()
}

/// The perplexity of the first of each pair as a multiple of that of the second.
pub(super) fn one_against_another<'a>(
    evidence: &Archive<'a>,
    group: &'a ModelGroup,
    pairs: &[(Recipe, Recipe)],
    bound: Bound,
) -> Vec<Found> {
    let of_pair = |(first, second): &(Recipe, Recipe)| {
        let than = other_than(first, second);
        let what = format!("{} against {than}", describe(first));
        at_every_text(evidence, group, &what, |place, protocol| {
            let key = (place.model, place.dataset.as_str(), protocol);
            let Some(ours) = evidence.find(key, first) else {
                return place.not_measured(reason(evidence.absence(key, first)));
            };
            let Some(theirs) = evidence.find(key, second) else {
                let why = evidence.absence(key, second);
                return place.not_measured(format!("{}: {why}", describe(second)));
            };
            let mut differences = differences(ours.result, theirs.result);
            differences.extend(other_calibration(ours.result, theirs.result));
            if !differences.is_empty() {
                return place.not_measured(format!("refused: {}", differences.join("; ")));
            }
            let quantity = format!("perplexity × that of {than}");
            let note = of_alike(&ours).or(of_alike(&theirs));
            compare(place, (ours.result, theirs.result), &quantity, (bound, note))
        })
    };
    pairs.iter().flat_map(of_pair).collect()
}

/// What tells the second of a pair from the first: `static`, `ghost`, `static ghost`.
fn other_than(first: &Recipe, second: &Recipe) -> String {
    let (Some(first), Some(second)) = (first.treatment(), second.treatment()) else {
        return describe(second);
    };
    let policy = (first.policy != second.policy).then(|| second.policy.to_string());
    let score = (first.score != second.score).then_some(second.score).flatten();
    let words = [policy, score.map(|score| score.to_string())];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Sets chosen on different texts are not the same treatment but for the score.
fn other_calibration(ours: &CellResult, theirs: &CellResult) -> Option<String> {
    let texts = (&ours.provenance.calibration_sha256, &theirs.provenance.calibration_sha256);
    match texts {
        (Some(ours), Some(theirs)) if ours != theirs => Some("other calibration text".to_owned()),
        _ => None,
    }
}

/// The ratio of two cells on the same windows against a threshold.
fn compare(
    place: &Place<'_>,
    (treated, base): (&CellResult, &CellResult),
    quantity: &str,
    (bound, note): (Bound, Option<Note>),
) -> Found {
    let (ours, theirs) = (losses(treated), losses(base));
    let tested = interval(&theirs, &ours).and_then(|interval| {
        Ok((interval, perplexity_ratio_p(&theirs, &ours, bound.times(), PERMUTATIONS)?))
    });
    let (interval, test) = match tested {
        Ok(found) => found,
        Err(error) => return place.not_measured(format!("no interval: {error}")),
    };
    let measurement = Measurement {
        quantity: quantity.to_owned(),
        effect: interval.estimate,
        lower: Some(interval.lower),
        upper: Some(interval.upper),
        threshold: bound.times(),
        n: ours.len(),
        unit: "windows",
        p: Some(test.p),
        p_holm: None,
        cells: vec![treated.id.clone(), base.id.clone()],
    };
    let found = place.measured(measurement, bound.side(interval), note.into_iter().collect());
    let detectable = Detectable::ratio(&theirs, &ours);
    Found { least_p: Some(test.least_p), detectable, ..found }
}

/// BCa where it exists, else the percentile interval.
pub(super) fn interval(
    base: &[WindowLoss],
    treated: &[WindowLoss],
) -> Result<Interval, StatisticsError> {
    let percentile = || perplexity_ratio_interval(base, treated, BOOTSTRAP);
    bca_or(perplexity_ratio_interval_bca(base, treated, BOOTSTRAP), percentile)
}

/// A BCa interval, or another one of the same resamples where there is none.
pub(super) fn bca_or(
    bca: Result<Bca, StatisticsError>,
    percentile: impl FnOnce() -> Result<Interval, StatisticsError>,
) -> Result<Interval, StatisticsError> {
    match bca {
        Ok(bca) => Ok(bca.interval),
        Err(StatisticsError::NoBca { .. }) => percentile(),
        Err(error) => Err(error),
    }
}
