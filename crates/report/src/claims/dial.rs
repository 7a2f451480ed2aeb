//! The claim that the dial only rises: no longer window W costs less than a shorter one.

use std::collections::BTreeMap;

use plan::{ModelGroup, Protocol, Treatment};
use statistics::{Dial, MonotoneTest, PageTrend, monotone_test, page_trend};

use super::Measurement;
use super::evidence::{Evidence, Finding, Place, Side, describe, losses};
use super::perplexity::at_every_text;
use crate::baseline;
use crate::format::significant;
use crate::perplexity::BOOTSTRAP;
use crate::read::CellResult;

/// A dial of fewer windows says nothing of its shape.
const FEWEST_LEVELS: usize = 3;

/// Along each line of `treatments`, perplexity rises with W, and nowhere falls by `tolerance` or more.
pub(super) fn rises<'a>(
    evidence: &Evidence<'a>,
    group: &'a ModelGroup,
    treatments: &[Treatment],
    tolerance: f64,
) -> Vec<Finding> {
    // Lines differ in anything but the window.
    let mut lines: BTreeMap<String, Vec<&Treatment>> = BTreeMap::new();
    for treatment in treatments {
        lines.entry(describe(treatment)).or_default().push(treatment);
    }
    let of_line = |(what, line): (String, Vec<&Treatment>)| {
        at_every_text(evidence, group, &what, |place, protocol| {
            of_text(evidence, place, protocol, &line, tolerance)
        })
    };
    lines.into_iter().flat_map(of_line).collect()
}

fn of_text(
    evidence: &Evidence<'_>,
    place: &Place<'_>,
    protocol: Protocol,
    line: &[&Treatment],
    tolerance: f64,
) -> Finding {
    let key = (place.model, place.dataset.as_str(), protocol);
    let levels: Vec<(usize, &CellResult)> = line
        .iter()
        .filter_map(|treatment| Some((treatment.window?, evidence.find(key, treatment)?)))
        .collect();
    if levels.len() < FEWEST_LEVELS {
        let n = levels.len();
        return place
            .not_measured(format!("{n} of its windows were run, {FEWEST_LEVELS} are needed"));
    }
    let (_, first) = levels[0];
    for (window, result) in &levels {
        let differences = baseline::differences(result, first);
        if !differences.is_empty() {
            return place.not_measured(format!("refused: W={window}: {}", differences.join("; ")));
        }
    }
    let losses: Vec<_> = levels.iter().map(|(_, result)| losses(result)).collect();
    let tested = Dial::new(&losses)
        .and_then(|dial| Ok((monotone_test(&dial, BOOTSTRAP)?, page_trend(&dial)?)));
    match tested {
        Ok((monotone, trend)) => judge(place, &levels, &monotone, trend, tolerance),
        Err(error) => place.not_measured(format!("no test: {error}")),
    }
}

fn judge(
    place: &Place<'_>,
    levels: &[(usize, &CellResult)],
    monotone: &MonotoneTest,
    trend: PageTrend,
    tolerance: f64,
) -> Finding {
    let fall = monotone.largest_fall;
    let side = match () {
        () if fall.upper_nats < tolerance.ln() => Side::For,
        () if fall.nats > tolerance.ln() => Side::Against,
        () => Side::Between,
    };
    // That it rises on the whole speaks for the claim, that it falls somewhere against it.
    let (p, tested) = match side {
        Side::Against => (monotone.p, "p of a monotone dial"),
        Side::For | Side::Between => (trend.p, "p of no trend (Page)"),
    };
    let (first, last) = (levels[0].0, levels[levels.len() - 1].0);
    let nats = &monotone.level_nats;
    let rise = significant((nats[nats.len() - 1] - nats[0]).exp(), 4);
    let falls = fall.between.map(|(higher, lower)| {
        format!("; the largest fall is from W={} to W={}", levels[higher].0, levels[lower].0)
    });
    let note = format!(
        "{} windows, × {rise} from W={first} to W={last}{}; {tested}",
        levels.len(),
        falls.unwrap_or_default()
    );
    let measurement = Measurement {
        quantity: "largest fall along the dial, as a factor; the limit is one-sided".to_owned(),
        effect: fall.nats.exp(),
        lower: Some(1.0),
        upper: Some(fall.upper_nats.exp()),
        threshold: tolerance,
        n: losses(levels[0].1).len(),
        unit: "windows",
        p: Some(p),
        p_holm: None,
        cells: levels.iter().map(|(_, result)| result.id.clone()).collect(),
    };
    place.measured(measurement, side, note)
}
