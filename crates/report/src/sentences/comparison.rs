//! The sentences of a comparison: what changed, and what differs besides the numbers.

use evidence::Counted;
use judgement::compare::{
    ALPHA, AccuracyChange, Change, Comparison, Matched, Origin, Outcome, PerplexityChange,
    ROUNDING, Sameness, Speed,
};

use crate::format::{count, p_value, percent, points, short, significant};

/// From how much is the same to what only one run has.
pub(crate) fn findings(comparison: &Comparison) -> Vec<String> {
    let mut findings: Vec<String> = altered(comparison).into_iter().collect();
    findings.push(how_many(comparison));
    findings.extend(largest(comparison, perplexity));
    findings.extend(largest(comparison, accuracy));
    findings.extend(largest(comparison, scores));
    findings.extend(rounding(comparison));
    findings.extend(significant_ones(comparison));
    findings.extend(refused(&comparison.matched));
    let only = &comparison.only;
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
fn altered(comparison: &Comparison) -> Option<String> {
    let altered = comparison.altered();
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

fn how_many(comparison: &Comparison) -> String {
    let matched = &comparison.matched;
    if matched.is_empty() {
        return "The two runs have no finished cell in common.".to_owned();
    }
    let with = |sameness| comparison.with(sameness).count();
    let n_refused = matched.iter().filter(|matched| matched.compared().is_none()).count();
    let have = |n: usize| if n == 1 { "has" } else { "have" };
    let (same, rounding, differs) =
        (with(Sameness::SameBits), with(Sameness::Rounding), with(Sameness::Differs));
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
fn largest(
    comparison: &Comparison,
    say: fn(&Matched, &Change) -> Option<String>,
) -> Option<String> {
    // The largest change stands first.
    let mut differing = comparison.with(Sameness::Differs);
    differing.find_map(|matched| say(matched, &matched.compared()?.change))
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

fn rounding(comparison: &Comparison) -> Option<String> {
    let largest = comparison.largest_rounding_nats()?;
    Some(format!(
        "Within rounding means: no loss further apart than {ROUNDING} nats a target, no answer \
         changed; the largest such difference is {}.",
        significant(largest, 2)
    ))
}

/// How many of the changes could not be chance.
fn significant_ones(comparison: &Comparison) -> Option<String> {
    let own = comparison.significance()?;
    Some(format!(
        "Of {} {} by Holm at level {ALPHA} over the {} that differ, {} by Benjamini–Hochberg; the smallest p is {}, \
         adjusted {} (Holm).",
        count(own.n_tests, "tested change"),
        match own.n_holm {
            1 => "1 is significant".to_owned(),
            n => format!("{n} are significant"),
        },
        own.n_family,
        own.n_benjamini_hochberg,
        p_value(own.smallest.p),
        p_value(own.smallest.p_holm)
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

/// What differs besides the numbers: code, machine, inputs of the orders, speed.
pub(crate) fn differences(comparison: &Comparison) -> Vec<String> {
    let origins = &comparison.origins;
    let mut lines = Vec::new();
    let mut same = Vec::new();
    let fields = |origin: &Origin| {
        let from = &origin.origins;
        [
            ("code version", values(&from.code_versions)),
            ("revision", values(&from.revisions)),
            ("versions", values(&from.versions)),
            ("host", values(&from.hosts)),
            ("processor", values(&from.cpus)),
            ("device", values(&origin.devices)),
        ]
    };
    for ((what, a), (_, b)) in fields(&origins.a).into_iter().zip(fields(&origins.b)) {
        if a == b {
            same.push(format!("{what} {a}"));
        } else {
            lines.push(format!("{what}: A {a}; B {b}"));
        }
    }
    lines.extend(comparison.other_inputs.iter().map(|own| {
        let (a, b) = (short(&own.sha256.a), short(&own.sha256.b));
        format!("{} {}: A {a}, B {b}", own.kind, own.name)
    }));
    if let Some(Speed { n_cells, seconds, ratio }) = &comparison.speed {
        let times = ratio.map_or(String::new(), |ratio| {
            format!(": B is {} times as fast", significant(ratio, 3))
        });
        let (a, b) = (significant(seconds.a, 4), significant(seconds.b, 4));
        let cells = count(*n_cells, "compared cell");
        lines.push(format!("seconds of the {cells}: A {a}, B {b}{times}"));
    }
    for (name, origin) in [("A", &origins.a), ("B", &origins.b)] {
        if origin.n_older > 0 {
            let cells = count(origin.n_older, "cell");
            lines.push(format!("of {name} left out: {cells} that a newer one measured again"));
        }
    }
    if !same.is_empty() {
        lines.push(format!("the same in both: {}", same.join(", ")));
    }
    lines
}

/// `x`, or `x (3 cells), y (1 cell)`.
fn values(values: &[Counted]) -> String {
    match values {
        [] => "unknown".to_owned(),
        [only] => only.value.clone(),
        many => {
            let one = |own: &Counted| format!("{} ({})", own.value, count(own.n_cells, "cell"));
            many.iter().map(one).collect::<Vec<_>>().join(", ")
        }
    }
}
