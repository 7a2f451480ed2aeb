//! Claims as Markdown: which sentences hold, and what each verdict rests on.

use std::collections::BTreeMap;

use judgement::claims::{Assessment, Check, Judged, Measurement, Note, Reason, Verdict};
use plan::Predicate;

use crate::document::Align::{Left, Right};
use crate::document::{Block, Field, Line, Table};
use crate::format::{
    NOTHING, correlation, count, or_nothing, p_value, percent, points, significant,
};
use crate::sentences::note_of_check;

/// The verdicts, sentence by sentence.
pub(super) fn section(assessment: &Assessment) -> Vec<Block> {
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
            .map(|verdict| Field::Number(claim.count(verdict).to_string()));
        let first = [Field::text(claim.verdict.as_str()), Field::text(&claim.sentence)];
        overview.push(first.into_iter().chain(counts));
    }
    let mut blocks = vec![Block::heading(2, "Which sentences hold")];
    if !measured.is_empty() {
        blocks.extend([Block::Table(overview), Block::paragraph(how(assessment))]);
    }
    if !absent.is_empty() {
        let summary = format!("{} not measured here", count(absent.len(), "sentence"));
        let sentences = Block::list(absent.iter().map(|claim| claim.sentence.as_str()));
        blocks.push(Block::Fold { summary, blocks: vec![sentences] });
    }
    let file = Line::new().text("Sentences and thresholds: ").code(&assessment.file).text(". ");
    blocks.push(Block::Paragraph(file.link(DETAILS).text(".")));
    blocks
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
pub(super) fn details(assessment: &Assessment) -> Vec<Block> {
    let claims = assessment.claims.iter().flat_map(of_claim);
    [Block::heading(2, DETAILS)].into_iter().chain(claims).collect()
}

fn of_claim(claim: &Judged) -> Vec<Block> {
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
    let heading = Block::heading(3, format!("{}: {}", claim.id, claim.verdict.as_str()));
    let sentence = Line::from(claim.sentence.as_str());
    let mut blocks = match measured.first().and_then(|check| check.measurement.as_ref()) {
        Some(Measurement { quantity, .. }) => {
            let effect = sentence.line_break().text(format!("Effect: {quantity}."));
            vec![heading, Block::Paragraph(effect), Block::Table(table)]
        }
        None => vec![heading, Block::Paragraph(sentence)],
    };
    for (why, models) in by_reason(&absent) {
        blocks.push(Block::paragraph(format!("Not measured ({why}): {}.", models.join(", "))));
    }
    blocks
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

fn fields(predicate: Predicate, check: &Check) -> Vec<Field> {
    let Check { verdict, model, dataset, protocol, what, .. } = check;
    let protocol = protocol.as_ref().map(|protocol| format!(" ({protocol})")).unwrap_or_default();
    let mut fields = vec![
        Field::text(verdict.as_str()),
        Field::text(model),
        Field::Text(format!("{dataset}{protocol}")),
        Field::text(what),
    ];
    if let Some(measured) = &check.measurement {
        let Measurement { effect, lower, upper, threshold, n, unit, p, p_holm, cells, .. } =
            measured;
        let limits = lower.zip(*upper).map(|(lower, upper)| {
            format!("[{}, {}]", shown(predicate, lower), shown(predicate, upper))
        });
        fields.extend([
            Field::Number(shown(predicate, *effect)),
            Field::Number(limits.unwrap_or_else(|| NOTHING.to_owned())),
            Field::Number(bound(predicate, *threshold)),
            Field::Number(format!("{n} {unit}")),
            Field::Number(or_nothing(p.map(p_value))),
            Field::Number(or_nothing(p_holm.map(p_value))),
            Field::Text(note_of_check(check)),
            Field::Cells(cells.clone()),
        ]);
    }
    fields
}

fn shown(predicate: Predicate, value: f64) -> String {
    match predicate {
        Predicate::AccuracyUnchanged | Predicate::AccuracyFalls => points(value),
        Predicate::CorrelationSame | Predicate::LinearityGrows | Predicate::DirectionsDisagree => {
            correlation(value, 3)
        }
        Predicate::ShareAtMost => percent(value),
        _ => significant(value, 4),
    }
}

/// The threshold as the claim has it.
fn bound(predicate: Predicate, threshold: f64) -> String {
    let value = shown(predicate, threshold);
    match predicate {
        Predicate::PerplexityAtLeast | Predicate::CostsMore | Predicate::LinearityGrows => {
            format!("≥ {value}")
        }
        Predicate::PerplexityAtMost
        | Predicate::CostsNoMore
        | Predicate::DirectionsDisagree
        | Predicate::ShareAtMost => {
            format!("≤ {value}")
        }
        Predicate::AccuracyFalls => format!("< {value}"),
        Predicate::AccuracyUnchanged | Predicate::CorrelationSame => {
            format!("± {}", value.trim_start_matches('+'))
        }
        Predicate::DialRises => format!("falls < {value}"),
    }
}
