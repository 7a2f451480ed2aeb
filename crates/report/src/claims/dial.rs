//! The claim that the dial only rises: no longer window W costs less than a shorter one.

use std::collections::BTreeMap;

use plan::{ModelGroup, Protocol, Treatment};
use statistics::{
    Dial, MonotoneTest, PageTrend, PermutationPlan, StatisticsError, WindowLoss, monotone_test,
    page_trend, perplexity_ratio_p,
};

use super::Measurement;
use super::detectable::Detectable;
use super::evidence::{Absence, Evidence, Finding, Found, Place, Side, describe};
use super::perplexity::{at_every_text, interval};
use crate::baseline;
use crate::format::significant;
use crate::perplexity::{BOOTSTRAP, losses};

/// A dial of fewer windows says nothing of its shape.
const FEWEST_LEVELS: usize = 3;
/// Every two levels are tested, so fewer draws than for a single ratio have to do.
const PERMUTATIONS: PermutationPlan = PermutationPlan { permutations: 20_000, seed: 1 };

/// How the note of a dial begins that neither rises nor falls.
pub(super) const FLAT: &str = "flat within the tolerance: ";

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
    found: Found<'a>,
    losses: Vec<WindowLoss>,
}

/// The levels of a line that were run, by ascending W.
///
/// # Errors
/// Why they are no dial: one was lost, an end is missing, or they cannot be compared.
fn levels<'a>(
    evidence: &Evidence<'a>,
    place: &Place<'_>,
    protocol: Protocol,
    line: &[&Treatment],
) -> Result<Vec<Level<'a>>, String> {
    let key = (place.model, place.dataset.as_str(), protocol);
    let mut levels: Vec<Level<'a>> = Vec::new();
    for treatment in line {
        let Some(window) = treatment.window else { continue };
        match evidence.find(key, treatment) {
            Some(found) => levels.push(Level { window, found, losses: losses(found.result) }),
            None => match evidence.absence(key, treatment) {
                // Another grid of windows is a dial as well.
                Absence::NotRun => {}
                Absence::Lost(why) => return Err(format!("W={window}: {why}")),
            },
        }
    }
    let (Some(first), Some(last)) = (levels.first(), levels.last()) else {
        return Err("not run".to_owned());
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
        ));
    }
    for level in &levels {
        let differences = baseline::differences(level.found.result, first.found.result);
        if !differences.is_empty() {
            return Err(format!("refused: W={}: {}", level.window, differences.join("; ")));
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
) -> Result<Finding, StatisticsError> {
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
    let note = note(levels, &monotone, trend, (rise, is_flat));
    let (first, last) = (&levels[0].losses, &levels[levels.len() - 1].losses);
    Ok(Finding {
        least_p: Some(PERMUTATIONS.least_p(first.len()) / 2.0),
        detectable: Detectable::ratio(first, last),
        ..place.measured(measurement, side, note)
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

fn note(
    levels: &[Level<'_>],
    monotone: &MonotoneTest,
    trend: PageTrend,
    (rise, is_flat): (f64, bool),
) -> String {
    let (first, last) = (levels[0].window, levels[levels.len() - 1].window);
    let flat = if is_flat { FLAT } else { "" };
    let fall = monotone.largest_fall.between.map(|(higher, lower)| {
        let (from, to) = (levels[higher].window, levels[lower].window);
        format!(", the largest fall from W={from} to W={to}")
    });
    let chosen = levels.iter().find_map(|level| level.found.note());
    let chosen = chosen.map(|note| format!("; {note}")).unwrap_or_default();
    format!(
        "{flat}× {} from W={first} to W={last} over {} windows{}; monotone p {}, Page's trend p {}{chosen}",
        significant(rise, 4),
        levels.len(),
        fall.unwrap_or_default(),
        crate::format::p_value(monotone.p),
        crate::format::p_value(trend.p),
    )
}
