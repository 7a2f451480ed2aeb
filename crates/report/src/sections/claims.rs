//! Claims as Markdown: which sentences hold, and what each verdict rests on.

use std::collections::BTreeMap;

use judgement::claims::{Assessment, Check, Judged, Measurement, Note, Reason, Verdict};
use plan::Predicate;

use crate::format::{
    NOTHING, correlation, count, or_nothing, p_value, percent, points, short, significant,
};
use crate::markdown::Align::{Left, Right};
use crate::markdown::{Table, anchor, code, plain};
use crate::sentences::note_of_check;

/// The verdicts, sentence by sentence.
pub(crate) fn section(assessment: &Assessment) -> String {
    let columns = [
        ("verdict", Left),
        ("sentence", Left),
        ("holds", Right),
        ("fails", Right),
        ("undecided", Right),
        ("not measured", Right),
    ];
    let mut overview = Table::new(columns);
    let (measured, absent): (Vec<&Judged>, Vec<&Judged>) =
        assessment.claims.iter().partition(|claim| claim.verdict != Verdict::NotMeasured);
    for claim in &measured {
        let counts = [Verdict::Holds, Verdict::Fails, Verdict::Undecided, Verdict::NotMeasured]
            .map(|verdict| claim.count(verdict).to_string());
        let first = [claim.verdict.as_str().to_owned(), plain(&claim.sentence)];
        overview.push(first.into_iter().chain(counts));
    }
    let overview = match measured.is_empty() {
        true => String::new(),
        false => format!("{}\n{}\n\n", overview.render(), how(assessment)),
    };
    let n_absent = count(absent.len(), "sentence");
    let absent: String =
        absent.iter().map(|claim| format!("- {}\n", plain(&claim.sentence))).collect();
    let absent = match absent.is_empty() {
        true => absent,
        false => format!(
            "<details><summary>{n_absent} not measured here</summary>\n\n{absent}\n</details>\n\n"
        ),
    };
    format!(
        "\n## Which sentences hold\n\n{overview}{absent}Sentences and thresholds: {}. \
         [{DETAILS}](#{}).\n",
        code(&assessment.file),
        anchor(DETAILS),
    )
}

/// What makes a verdict.
fn how(assessment: &Assessment) -> String {
    format!(
        "The counts are of models, texts and treatments. A sentence holds on a model when the whole 95 % \
         interval (BCa bootstrap of perplexity ratios and correlations, Newcombe of accuracies) lies on its \
         side of the threshold and the test against the threshold has p < {} after Holm's adjustment over \
         {}; it fails when both are so on the other side. Of a dial without a fall the limit is one-sided; \
         a share is counted, with neither interval nor test.",
        assessment.alpha,
        count(assessment.n_tests, "test"),
    )
}

const DETAILS: &str = "What each verdict rests on";

/// Every check of every claim.
pub(crate) fn details(assessment: &Assessment) -> String {
    let claims: String = assessment.claims.iter().map(of_claim).collect();
    format!("\n## {DETAILS}\n{claims}")
}

fn of_claim(claim: &Judged) -> String {
    let columns = [
        ("verdict", Left),
        ("model", Left),
        ("text", Left),
        ("treatment", Left),
        ("effect", Right),
        ("95 % interval", Right),
        ("threshold", Right),
        ("n", Right),
        ("p", Right),
        ("Holm p", Right),
        ("note", Left),
        ("cells", Left),
    ];
    let mut table = Table::new(columns);
    let (measured, absent): (Vec<&Check>, Vec<&Check>) =
        claim.checks.iter().partition(|check| check.measurement.is_some());
    for check in &measured {
        table.push(fields(claim.predicate, check));
    }
    let mut text =
        format!("\n### {}: {}\n\n{}\n", claim.id, claim.verdict.as_str(), plain(&claim.sentence));
    if let Some(quantity) = measured.first().and_then(|check| check.measurement.as_ref()) {
        text += &format!("Effect: {}.\n\n{}", quantity.quantity, table.render());
    }
    for (why, models) in by_reason(&absent) {
        text += &format!("\nNot measured ({}): {}.\n", plain(&why), plain(&models.join(", ")));
    }
    text
}

/// Where nothing was measured, by the reason: `opt-1.3b on lambada`, each once.
fn by_reason(absent: &[&Check]) -> BTreeMap<String, Vec<String>> {
    let mut reasons: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let several = absent.iter().any(|check| check.what != absent[0].what);
    let is_not_run = |check: &Check| check.notes == [Note::NotMeasured(Reason::NotRun)];
    let is_telling = |check: &Check| several && !is_not_run(check);
    for check in absent {
        let protocol = check.protocol.as_ref().map(|p| format!(" {p}")).unwrap_or_default();
        let what = if is_telling(check) { format!(" by {}", check.what) } else { String::new() };
        let place = format!("{} on {}{protocol}{what}", check.model, check.dataset);
        let places = reasons.entry(note_of_check(check)).or_default();
        if !places.contains(&place) {
            places.push(place);
        }
    }
    reasons
}

fn fields(predicate: Predicate, check: &Check) -> Vec<String> {
    let Check { verdict, model, dataset, protocol, what, .. } = check;
    let protocol = protocol.as_ref().map(|protocol| format!(" ({protocol})")).unwrap_or_default();
    let mut fields = vec![
        verdict.as_str().to_owned(),
        plain(model),
        plain(&format!("{dataset}{protocol}")),
        what.clone(),
    ];
    if let Some(measured) = &check.measurement {
        let Measurement { effect, lower, upper, threshold, n, unit, p, p_holm, cells, .. } =
            measured;
        let limits = lower.zip(*upper).map(|(lower, upper)| {
            format!("[{}, {}]", shown(predicate, lower), shown(predicate, upper))
        });
        let cells: Vec<String> = cells.iter().map(|id| code(short(id))).collect();
        fields.extend([
            shown(predicate, *effect),
            limits.unwrap_or_else(|| NOTHING.to_owned()),
            bound(predicate, *threshold),
            format!("{n} {unit}"),
            or_nothing(p.map(p_value)),
            or_nothing(p_holm.map(p_value)),
            plain(&note_of_check(check)),
            cells.join(" "),
        ]);
    }
    fields
}

fn shown(predicate: Predicate, value: f64) -> String {
    match predicate {
        Predicate::AccuracyUnchanged | Predicate::AccuracyFalls => points(value),
        Predicate::CorrelationSame => correlation(value, 3),
        Predicate::ShareAtMost => percent(value),
        _ => significant(value, 4),
    }
}

/// The threshold as the claim has it.
fn bound(predicate: Predicate, threshold: f64) -> String {
    let value = shown(predicate, threshold);
    match predicate {
        Predicate::PerplexityAtLeast | Predicate::CostsMore => format!("≥ {value}"),
        Predicate::PerplexityAtMost | Predicate::CostsNoMore | Predicate::ShareAtMost => {
            format!("≤ {value}")
        }
        Predicate::AccuracyFalls => format!("< {value}"),
        Predicate::AccuracyUnchanged | Predicate::CorrelationSame => {
            format!("± {}", value.trim_start_matches('+'))
        }
        Predicate::DialRises => format!("falls < {value}"),
    }
}
