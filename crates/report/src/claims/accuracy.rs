//! Claims about last words: unchanged within a margin, or lost by more than one.

use plan::{ModelGroup, Protocol, Treatment};
use statistics::{
    ConfidenceLevel, Interval, PairedCounts, StatisticsError, mcnemar_exact_p, newcombe_paired,
    wilson,
};

use super::Measurement;
use super::detectable::Detectable;
use super::evidence::{Evidence, Finding, Place, Side, describe};
use crate::accuracy::items;
use crate::format::{p_value, percent};
use crate::read::CellResult;

/// The accuracy of dense within `margin`: two one-sided tests (TOST) by inverting Newcombe's interval.
pub(super) fn unchanged<'a>(
    evidence: &Evidence<'a>,
    group: &'a ModelGroup,
    treatments: &[Treatment],
    margin: f64,
) -> Vec<Finding> {
    at_every_task(evidence, group, (treatments, margin), |place, pair, counts| {
        let interval = newcombe_paired(counts, ConfidenceLevel::P95)?;
        let nearest = if interval.estimate < 0.0 { -margin } else { margin };
        let is_within = interval.estimate.abs() < margin;
        // One-sided at the nearer margin when within, two-sided beyond it.
        let two_sided = p_at(counts, nearest)?;
        let p = if is_within { two_sided / 2.0 } else { two_sided };
        let side = match () {
            () if -margin < interval.lower && interval.upper < margin => Side::For,
            () if interval.upper < -margin || interval.lower > margin => Side::Against,
            () => Side::Between,
        };
        Ok(measured(place, pair, counts, interval, (margin, p), side))
    })
}

/// The accuracy below that of dense by more than `margin`.
pub(super) fn falls<'a>(
    evidence: &Evidence<'a>,
    group: &'a ModelGroup,
    treatments: &[Treatment],
    margin: f64,
) -> Vec<Finding> {
    at_every_task(evidence, group, (treatments, margin), |place, pair, counts| {
        let interval = newcombe_paired(counts, ConfidenceLevel::P95)?;
        let side = Side::at_least(interval.lower, interval.upper, -margin).reversed();
        let p = p_at(counts, -margin)?;
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
) -> Finding {
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
    let (first, second) = (counts.both + counts.only_first, counts.both + counts.only_second);
    let mcnemar = p_value(mcnemar_exact_p(counts));
    let note = format!("{first} correct, dense {second}; McNemar p {mcnemar}");
    let discordant_share = counts.discordant() as f64 / counts.items() as f64;
    let detectable = Some(Detectable::Points { items: counts.items(), discordant_share });
    Finding { detectable, ..place.measured(measurement, side, note) }
}

fn at_every_task<'a>(
    evidence: &Evidence<'a>,
    group: &'a ModelGroup,
    (treatments, margin): (&[Treatment], f64),
    find: impl Fn(
        &Place<'a>,
        (&CellResult, &CellResult),
        PairedCounts,
    ) -> Result<Finding, StatisticsError>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (treatment, model) in
        treatments.iter().flat_map(|t| group.models.iter().map(move |m| (t, m)))
    {
        for dataset in &group.last_word {
            let what = describe(treatment);
            let place = Place { group, model, dataset: dataset.clone(), protocol: None, what };
            let protocols = evidence.protocols(model, dataset, false);
            if protocols.is_empty() {
                findings.push(place.not_measured("not run"));
            }
            for protocol in protocols {
                let place = Place { protocol: Some(protocol), ..place.clone() };
                findings.push(on_task(evidence, &place, protocol, (treatment, margin), &find));
            }
        }
    }
    findings
}

fn on_task<'a>(
    evidence: &Evidence<'a>,
    place: &Place<'a>,
    protocol: Protocol,
    (treatment, margin): (&Treatment, f64),
    find: &impl Fn(
        &Place<'a>,
        (&CellResult, &CellResult),
        PairedCounts,
    ) -> Result<Finding, StatisticsError>,
) -> Finding {
    let key = (place.model, place.dataset.as_str(), protocol);
    let Some(chosen) = evidence.find(key, treatment) else {
        return place.not_measured(evidence.absence(key, treatment).to_string());
    };
    let treated = chosen.result;
    let dense = match evidence.dense_of(treated) {
        Ok(dense) => dense,
        Err(why) => return place.not_measured(why),
    };
    let outcomes = |result| items(result).iter().map(|item| item.correct).collect::<Vec<bool>>();
    let found =
        PairedCounts::from_outcomes(&outcomes(treated), &outcomes(dense)).and_then(|counts| {
            // A model that knows nothing has nothing to keep and nothing to lose.
            let floor = wilson(counts.second()?, ConfidenceLevel::P95).lower;
            if floor <= margin {
                let dense = percent(counts.second()?.value());
                let why = format!("dense itself is right on {dense} only, no more than the margin");
                return Ok(place.not_measured(why));
            }
            find(place, (treated, dense), counts)
        });
    found.unwrap_or_else(|error| place.not_measured(format!("no interval: {error}")))
}

/// Two-sided p-value of "the difference is `threshold`" by inverting Newcombe's interval: the level at
/// which its limit reaches the threshold.
fn p_at(counts: PairedCounts, threshold: f64) -> Result<f64, StatisticsError> {
    /// Halvings: enough for every bit of a p-value.
    const STEPS: usize = 60;
    /// No smaller p-value is told apart from it.
    const LEAST: f64 = 1e-15;
    let (mut inside, mut outside) = (LEAST, 1.0 - LEAST);
    let contains = |alpha: f64| {
        let interval = newcombe_paired(counts, ConfidenceLevel::new(1.0 - alpha)?)?;
        Ok::<bool, StatisticsError>(interval.lower <= threshold && threshold <= interval.upper)
    };
    // A higher level is a wider interval: it contains the threshold below p and not above.
    if !contains(inside)? {
        return Ok(LEAST);
    }
    for _ in 0..STEPS {
        let middle = inside.midpoint(outside);
        match contains(middle)? {
            true => inside = middle,
            false => outside = middle,
        }
    }
    Ok(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_p_value_is_the_level_at_which_the_interval_ends_at_the_threshold() {
        let counts = PairedCounts { both: 180, only_first: 5, only_second: 25, neither: 90 };
        for level in [0.5, 0.9, 0.95, 0.999] {
            let interval = newcombe_paired(counts, ConfidenceLevel::new(level).unwrap()).unwrap();
            for limit in [interval.lower, interval.upper] {
                let p = p_at(counts, limit).unwrap();
                assert!((p - (1.0 - level)).abs() < 1e-9, "{level}: {p}");
            }
        }
        assert!(p_at(counts, 0.9).unwrap() <= 1e-15);
    }
}
