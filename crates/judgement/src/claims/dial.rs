//! The claim that the dial only rises: no longer window W costs less than a shorter one.

use std::collections::BTreeMap;

use evidence::{Absence, Archive, Match, differences};
use plan::{ModelGroup, Protocol, Recipe, Treatment};
use statistics::{
    Dial, MonotoneTest, PageTrend, PermutationPlan, StatisticsError, WindowLoss, monotone_test,
    page_trend, perplexity_ratio_p,
};

use super::detectable::Detectable;
use super::finding::{Found, Place, Side, describe, of_alike};
use super::perplexity::{at_every_text, interval};
use super::verdict::{Measurement, Note, Reason, Shape};
use crate::perplexity::{BOOTSTRAP, losses};

/// A dial of fewer windows says nothing of its shape.
const FEWEST_LEVELS: usize = 3;
/// Every two levels are tested, so fewer draws than for a single ratio have to do.
const PERMUTATIONS: PermutationPlan = PermutationPlan { permutations: 20_000, seed: 1 };

/// Along each line of `treatments`, perplexity rises with W, and nowhere falls by `tolerance` or more.
pub(super) fn rises<'a>(
    evidence: &Archive<'a>,
    group: &'a ModelGroup,
    treatments: &[Treatment],
    tolerance: f64,
) -> Vec<Found> {
    // Lines differ in anything but the window.
    let mut lines: BTreeMap<String, Vec<&Treatment>> = BTreeMap::new();
    for treatment in treatments {
        lines.entry(describe(&treatment.clone().into())).or_default().push(treatment);
    }
    let of_line = |(what, mut line): (String, Vec<&Treatment>)| {
        line.sort_by_key(|treatment| treatment.window);
        at_every_text(evidence, group, &what, |place, protocol| {
            match levels(evidence, place, protocol, &line) {
                Ok(levels) => of_levels(place, &levels, tolerance)
                    .unwrap_or_else(|error| place.not_measured(format!("no test: {error}"))),
                Err(why) => place.not_measured(why),
            }
        })
    };
    lines.into_iter().flat_map(of_line).collect()
}

/// One window W of a dial.
struct Level<'a> {
    window: usize,
    found: Match<'a>,
    losses: Vec<WindowLoss>,
}

/// The levels of a line that were run, by ascending W.
///
/// # Errors
/// Why they are no dial: one was lost, an end is missing, or they cannot be compared.
fn levels<'a>(
    evidence: &Archive<'a>,
    place: &Place<'_>,
    protocol: Protocol,
    line: &[&Treatment],
) -> Result<Vec<Level<'a>>, Reason> {
    let key = (place.model, place.dataset.as_str(), protocol);
    let mut levels: Vec<Level<'a>> = Vec::new();
    for treatment in line {
        let Some(window) = treatment.window else { continue };
        let recipe: Recipe = (*treatment).clone().into();
        match evidence.find(key, &recipe) {
            Some(found) => levels.push(Level { window, found, losses: losses(found.result) }),
            None => match evidence.absence(key, &recipe) {
                // Another grid of windows is a dial as well.
                Absence::NotRun => {}
                Absence::Lost(why) => return Err(format!("W={window}: {why}").into()),
            },
        }
    }
    let (Some(first), Some(last)) = (levels.first(), levels.last()) else {
        return Err(Reason::NotRun);
    };
    let whole = match protocol {
        Protocol::Perplexity { window_tokens } => window_tokens,
        _ => usize::MAX,
    };
    if first.window != 1 || last.window < whole || levels.len() < FEWEST_LEVELS {
        return Err(format!(
            "{} windows from W={} to W={} were run, at least {FEWEST_LEVELS} from 1 to {whole} are \
             needed",
            levels.len(),
            first.window,
            last.window
        )
        .into());
    }
    for level in &levels {
        let differences = differences(level.found.result, first.found.result);
        if !differences.is_empty() {
            let why = format!("refused: W={}: {}", level.window, differences.join("; "));
            return Err(why.into());
        }
    }
    Ok(levels)
}

/// What tests of every two levels say, each with the shorter window first.
struct Falls {
    /// Of "some level falls by the tolerance": the largest of the one-sided p-values that none does, which
    /// needs no adjustment (an intersection-union test).
    p_of_a_fall: f64,
    /// Of "no level falls by more": the smallest of the other p-values, times their number.
    p_of_no_fall: f64,
}

fn falls(levels: &[Level<'_>], tolerance: f64) -> Result<Falls, StatisticsError> {
    let (mut largest, mut smallest, mut n_pairs) = (0.0_f64, 1.0_f64, 0_u32);
    for (position, longer) in levels.iter().enumerate() {
        for shorter in &levels[..position] {
            let test =
                perplexity_ratio_p(&longer.losses, &shorter.losses, tolerance, PERMUTATIONS)?;
            let (below, above) = match test.excess_nats < 0.0 {
                true => (test.p / 2.0, 1.0 - test.p / 2.0),
                false => (1.0 - test.p / 2.0, test.p / 2.0),
            };
            (largest, smallest) = (largest.max(below), smallest.min(above));
            n_pairs += 1;
        }
    }
    Ok(Falls { p_of_a_fall: largest, p_of_no_fall: (smallest * f64::from(n_pairs)).min(1.0) })
}

fn of_levels(
    place: &Place<'_>,
    levels: &[Level<'_>],
    tolerance: f64,
) -> Result<Found, StatisticsError> {
    let losses: Vec<_> = levels.iter().map(|level| &level.losses).collect();
    let dial = Dial::new(&losses)?;
    let (monotone, trend) = (monotone_test(&dial, BOOTSTRAP)?, page_trend(&dial)?);
    let falls = falls(levels, tolerance)?;
    let (lower, upper) = limits(levels, &monotone)?;
    let nats = &monotone.level_nats;
    let rise = (nats[nats.len() - 1] - nats[0]).exp();
    let is_flat = rise < tolerance && upper < tolerance;
    let side = match () {
        () if lower > tolerance => Side::Against,
        () if upper < tolerance && !is_flat => Side::For,
        () => Side::Between,
    };
    let p = match side {
        Side::Against => falls.p_of_no_fall,
        // Both that it falls nowhere and that it rises on the whole.
        Side::For | Side::Between => falls.p_of_a_fall.max(trend.p),
    };
    let measurement = Measurement {
        quantity: "largest fall along the dial, as a factor (without a fall, its one-sided limit)"
            .to_owned(),
        effect: monotone.largest_fall.nats.exp(),
        lower: Some(lower),
        upper: Some(upper),
        threshold: tolerance,
        n: levels[0].losses.len(),
        unit: "windows",
        p: Some(p),
        p_holm: None,
        cells: levels.iter().map(|level| level.found.result.id.clone()).collect(),
    };
    let notes = notes(levels, &monotone, trend, (rise, is_flat));
    let (first, last) = (&levels[0].losses, &levels[levels.len() - 1].losses);
    Ok(Found {
        least_p: Some(PERMUTATIONS.least_p(first.len()) / 2.0),
        detectable: Detectable::ratio(first, last),
        ..place.measured(measurement, side, notes)
    })
}

/// Limits of the largest fall: the two-sided interval of the two levels between which it is; where none
/// falls, from 1 to the one-sided limit.
fn limits(levels: &[Level<'_>], monotone: &MonotoneTest) -> Result<(f64, f64), StatisticsError> {
    let one_sided = monotone.largest_fall.upper_nats.exp();
    let Some((higher, lower)) = monotone.largest_fall.between else {
        return Ok((1.0, one_sided));
    };
    let own = interval(&levels[lower].losses, &levels[higher].losses)?;
    Ok((own.lower, own.upper.max(one_sided)))
}

fn notes(
    levels: &[Level<'_>],
    monotone: &MonotoneTest,
    trend: PageTrend,
    (rise, is_flat): (f64, bool),
) -> Vec<Note> {
    let window = |level: usize| levels[level].window;
    let fall = monotone.largest_fall.between;
    let shape = Shape {
        is_flat,
        rise,
        first: window(0),
        last: window(levels.len() - 1),
        n_levels: levels.len(),
        fall: fall.map(|(higher, lower)| (window(higher), window(lower))),
        monotone_p: monotone.p,
        trend_p: trend.p,
    };
    let alike = levels.iter().find_map(|level| of_alike(&level.found));
    [Note::Dial(shape)].into_iter().chain(alike).collect()
}
