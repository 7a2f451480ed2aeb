//! Claims about last words: unchanged within a margin, or lost by more than one.

use evidence::{Archive, CellResult};
use plan::{Measure, ModelGroup, Protocol, Recipe};
use statistics::{
    ConfidenceLevel, Interval, PairedCounts, StatisticsError, equivalence_paired, mcnemar_exact_p,
    newcombe_paired, newcombe_paired_p, wilson,
};

use super::detectable::Detectable;
use super::finding::{Found, Place, Side, describe, reason};
use super::verdict::{Measurement, Note, Reason};

/// The accuracy of dense within `margin`: two one-sided tests (TOST) by inverting Newcombe's interval.
pub(super) fn unchanged<'a>(
    evidence: &Archive<'a>,
    group: &'a ModelGroup,
    recipes: &[Recipe],
    margin: f64,
) -> Vec<Found> {
    at_every_task(evidence, group, (recipes, margin), |place, pair, counts| {
        let found = equivalence_paired(counts, margin, ConfidenceLevel::P95)?;
        let side = Side::of_margins(found.margins);
        Ok(measured(place, pair, counts, found.interval, (margin, found.p), side))
    })
}

/// The accuracy below that of dense by more than `margin`.
pub(super) fn falls<'a>(
    evidence: &Archive<'a>,
    group: &'a ModelGroup,
    recipes: &[Recipe],
    margin: f64,
) -> Vec<Found> {
    at_every_task(evidence, group, (recipes, margin), |place, pair, counts| {
        let interval = newcombe_paired(counts, ConfidenceLevel::P95)?;
        let side = Side::at_least(interval.lower, interval.upper, -margin).reversed();
        let p = newcombe_paired_p(counts, -margin)?;
        Ok(measured(place, pair, counts, interval, (-margin, p), side))
    })
}

fn measured(
    place: &Place<'_>,
    (treated, dense): (&CellResult, &CellResult),
    counts: PairedCounts,
    interval: Interval,
    (threshold, p): (f64, f64),
    side: Side,
) -> Found {
    let measurement = Measurement {
        quantity: "accuracy minus that of dense, in percentage points".to_owned(),
        effect: interval.estimate,
        lower: Some(interval.lower),
        upper: Some(interval.upper),
        threshold,
        n: usize::try_from(counts.items()).unwrap_or(usize::MAX),
        unit: "items",
        p: Some(p),
        p_holm: None,
        cells: vec![treated.id.clone(), dense.id.clone()],
    };
    let (treated, dense) = (counts.both + counts.only_first, counts.both + counts.only_second);
    let note = Note::Correct { treated, dense, mcnemar_p: mcnemar_exact_p(counts) };
    let discordant_share = counts.discordant() as f64 / counts.items() as f64;
    let detectable = Some(Detectable::Points { items: counts.items(), discordant_share });
    Found { detectable, ..place.measured(measurement, side, vec![note]) }
}

fn at_every_task<'a>(
    evidence: &Archive<'a>,
    group: &'a ModelGroup,
    (recipes, margin): (&[Recipe], f64),
    find: impl Fn(
        &Place<'a>,
        (&CellResult, &CellResult),
        PairedCounts,
    ) -> Result<Found, StatisticsError>,
) -> Vec<Found> {
    let mut findings = Vec::new();
    for (recipe, model) in
        recipes.iter().flat_map(|recipe| group.models.iter().map(move |model| (recipe, model)))
    {
        for dataset in &group.last_word {
            let what = describe(recipe);
            let place = Place { group, model, dataset: dataset.clone(), protocol: None, what };
            let protocols = evidence.protocols(model, dataset, Measure::Proportion);
            if protocols.is_empty() {
                findings.push(place.not_measured(Reason::NotRun));
            }
            for protocol in protocols {
                let place = Place { protocol: Some(protocol), ..place.clone() };
                findings.push(on_task(evidence, &place, protocol, (recipe, margin), &find));
            }
        }
    }
    findings
}

fn on_task<'a>(
    evidence: &Archive<'a>,
    place: &Place<'a>,
    protocol: Protocol,
    (recipe, margin): (&Recipe, f64),
    find: &impl Fn(
        &Place<'a>,
        (&CellResult, &CellResult),
        PairedCounts,
    ) -> Result<Found, StatisticsError>,
) -> Found {
    let key = (place.model, place.dataset.as_str(), protocol);
    let Some(chosen) = evidence.find(key, recipe) else {
        return place.not_measured(reason(evidence.absence(key, recipe)));
    };
    let treated = chosen.result;
    let dense = match evidence.dense_of(treated) {
        Ok(dense) => dense,
        Err(why) => return place.not_measured(why),
    };
    let outcomes =
        |result: &CellResult| result.items().iter().map(|item| item.correct).collect::<Vec<bool>>();
    let found =
        PairedCounts::from_outcomes(&outcomes(treated), &outcomes(dense)).and_then(|counts| {
            // A model that knows nothing has nothing to keep and nothing to lose.
            let floor = wilson(counts.second()?, ConfidenceLevel::P95).lower;
            if floor <= margin {
                let share = counts.second()?.value();
                return Ok(place.not_measured(Reason::DenseAtMargin(share)));
            }
            find(place, (treated, dense), counts)
        });
    found.unwrap_or_else(|error| place.not_measured(format!("no interval: {error}")))
}
