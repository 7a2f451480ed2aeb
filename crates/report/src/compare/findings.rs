//! The sentences that open a comparison.

use crate::compare::change::{AccuracyChange, Change, PerplexityChange, ROUNDING, Test, Verdict};
use crate::compare::matching::Only;
use crate::compare::{Both, Matched, Outcome};
use crate::format::{count, p_value, percent, points, significant};

/// Level below which an adjusted p-value counts.
const ALPHA: f64 = 0.05;

/// From how much is the same to what only one run has. `matched` has the largest change first.
pub(crate) fn of(matched: &[Matched], only: &Both<Vec<Only>>) -> Vec<String> {
    let mut findings: Vec<String> = altered(matched).into_iter().collect();
    findings.push(how_many(matched));
    findings.extend(largest(matched, perplexity));
    findings.extend(largest(matched, accuracy));
    findings.extend(largest(matched, scores));
    findings.extend(rounding(matched));
    findings.extend(significant_ones(matched));
    findings.extend(refused(matched));
    for (only, own, other) in [(&only.a, "A", "B"), (&only.b, "B", "A")] {
        if let Some(first) = only.first() {
            let cells = count(only.len(), "cell");
            findings.push(format!(
                "Only in {own}: {cells}; the first is {} ({other}: {}).",
                first.label, first.other
            ));
        }
    }
    findings
}

/// Cells whose id promises the same numbers and that have others.
fn altered(matched: &[Matched]) -> Option<String> {
    let is_altered =
        |own: &&Matched| own.cell_ids.a == own.cell_ids.b && !own.has(Verdict::SameBits);
    let altered: Vec<&Matched> =
        matched.iter().filter(|own| own.compared().is_some()).filter(is_altered).collect();
    let first = altered.first()?;
    Some(format!(
        "{} the same id in both runs and other numbers: a file was altered, or the program is not \
         deterministic. The first is {}.",
        match altered.len() {
            1 => "1 cell has".to_owned(),
            n => format!("{n} cells have"),
        },
        first.label
    ))
}

fn how_many(matched: &[Matched]) -> String {
    if matched.is_empty() {
        return "The two runs have no finished cell in common.".to_owned();
    }
    let with = |verdict| matched.iter().filter(|matched| matched.has(verdict)).count();
    let n_refused = matched.iter().filter(|matched| matched.compared().is_none()).count();
    let have = |n: usize| if n == 1 { "has" } else { "have" };
    let (same, rounding, differs) =
        (with(Verdict::SameBits), with(Verdict::Rounding), with(Verdict::Differs));
    let mut sentence =
        format!("Of {} {same} {} the same bits", count(matched.len(), "matched cell"), have(same));
    if rounding > 0 {
        sentence += &format!(", {rounding} differ within rounding");
    }
    sentence += &match differs {
        1 => ", 1 differs".to_owned(),
        n => format!(", {n} differ"),
    };
    if n_refused > 0 {
        sentence += &format!(", {n_refused} cannot be compared");
    }
    sentence + "."
}

/// The largest change of one kind.
fn largest(matched: &[Matched], say: fn(&Matched, &Change) -> Option<String>) -> Option<String> {
    let differing = matched.iter().filter(|matched| matched.has(Verdict::Differs));
    differing.filter_map(|matched| say(matched, &matched.compared()?.change)).next()
}

fn perplexity(matched: &Matched, change: &Change) -> Option<String> {
    let Change::Perplexity(change) = change else { return None };
    let label = &matched.label;
    Some(format!("The largest change of a perplexity: {label}: {}.", perplexity_text(change)))
}

/// `23.083 → 24.012, × 1.040 [1.031, 1.049]`
fn perplexity_text(change: &PerplexityChange) -> String {
    let number =
        |value: Option<f64>| value.map_or("too large".to_owned(), |value| significant(value, 5));
    let (a, b) = (number(change.perplexity.a), number(change.perplexity.b));
    let ratio = change.ratio.map(|ratio| format!(", × {}", significant(ratio, 4)));
    let limits = change
        .lower
        .zip(change.upper)
        .map(|(lower, upper)| format!(" [{}, {}]", significant(lower, 4), significant(upper, 4)));
    format!("{a} → {b}{}{}", ratio.unwrap_or_default(), limits.unwrap_or_default())
}

fn accuracy(matched: &Matched, change: &Change) -> Option<String> {
    let Change::Accuracy(AccuracyChange { n_correct, n_items, difference, lower, upper, .. }) =
        change
    else {
        return None;
    };
    Some(format!(
        "The largest change of an accuracy: {}: {} → {} of {n_items}, {} points [{}, {}].",
        matched.label,
        n_correct.a,
        n_correct.b,
        points(*difference),
        points(*lower),
        points(*upper)
    ))
}

fn scores(matched: &Matched, change: &Change) -> Option<String> {
    let Change::Scores(change) = change else { return None };
    let how = match change.largest.is_finite() {
        true => format!("by up to {} of the largest of its kind", percent(change.largest)),
        false => "and one run has a score that the other lacks".to_owned(),
    };
    let rows = format!("{} of {}", change.n_changed, count(change.n_rows, "row"));
    Some(format!("The largest change of scores: {}: {rows} changed, {how}.", matched.label))
}

fn rounding(matched: &[Matched]) -> Option<String> {
    let rounded = matched.iter().filter(|matched| matched.has(Verdict::Rounding));
    let nats = rounded.filter_map(|matched| matched.compared()?.largest_nats);
    let largest = nats.reduce(f64::max)?;
    Some(format!(
        "Within rounding means: no loss further apart than {ROUNDING} nats a target, no answer \
         changed; the largest such difference is {}.",
        significant(largest, 2)
    ))
}

/// How many of the changes could not be chance. The family is all cells that differ; what is no more than a
/// rounding is not counted, however sure it is.
fn significant_ones(matched: &[Matched]) -> Option<String> {
    let test = |own: &Matched| own.compared().and_then(|compared| compared.test);
    let n_tested =
        matched.iter().filter(|own| !own.has(Verdict::SameBits) && test(own).is_some()).count();
    let differing = matched.iter().filter(|own| own.has(Verdict::Differs));
    let tests: Vec<Test> = differing.filter_map(test).collect();
    let smallest = tests.iter().min_by(|a, b| a.p.total_cmp(&b.p))?;
    let below = |p: fn(&Test) -> f64| tests.iter().filter(|test| p(test) < ALPHA).count();
    Some(format!(
        "Of {} {} by Holm at level {ALPHA} over the {n_tested} that differ, {} by Benjamini–Hochberg; the smallest p is {}, \
         adjusted {} (Holm).",
        count(tests.len(), "tested change"),
        match below(|test| test.p_holm) {
            1 => "1 is significant".to_owned(),
            n => format!("{n} are significant"),
        },
        below(|test| test.p_benjamini_hochberg),
        p_value(smallest.p),
        p_value(smallest.p_holm)
    ))
}

fn refused(matched: &[Matched]) -> Option<String> {
    let reasons = matched.iter().filter_map(|matched| match &matched.outcome {
        Outcome::Refused { reason } => Some((matched, reason)),
        Outcome::Compared(_) => None,
    });
    let reasons: Vec<_> = reasons.collect();
    let (first, reason) = reasons.first()?;
    let cells = count(reasons.len(), "cell");
    Some(format!("Not compared: {cells}; the first is {} ({reason}).", first.label))
}
