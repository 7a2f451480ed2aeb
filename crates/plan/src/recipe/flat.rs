//! Steps on neurons and state channels, and the flat fields that tables, reports and the short form of a
//! sweep have for them.

use std::collections::BTreeMap;

use super::kinds;
use crate::{
    Kind, Mode, Needs, Part, Policy, Rule, Score, Share, Step, StepError, Treatment, TreatmentSpec,
    Value, Way,
};

/// Whether a step of this kind is one of flat fields: those kinds are named as their part.
pub(super) fn is_flat(kind: &Kind) -> bool {
    kind.name.parse::<Part>().is_ok()
}

/// The flat fields of a step; none of another kind.
pub(super) fn treatment(step: &Step, seed: u64) -> Option<Treatment> {
    Treatment::new(spec(step, seed)?).ok()
}

fn spec(step: &Step, seed: u64) -> Option<TreatmentSpec> {
    let part: Part = step.kind().name.parse().ok()?;
    if part == Part::Kv && named::<Mode>(step, "mode") == Some(Mode::Write) {
        return Some(eviction(step, seed));
    }
    let rule = named(step, "rule");
    let policy = match (step.way(), rule) {
        (Way::Cut, _) => Policy::Static,
        (Way::Skip, None) => Policy::Dynamic,
        (Way::Skip, Some(_)) => Policy::Window,
        (Way::Observe, _) => Policy::Observe,
    };
    let count = |name| step.count(name).and_then(|count| usize::try_from(count).ok());
    Some(TreatmentSpec {
        part,
        score: named(step, "score"),
        sparsity: step.share("sparsity").unwrap_or_default().get(),
        window: count("window"),
        rule,
        prompt_tokens: count("prompt_tokens"),
        sinks: count("sinks"),
        mode: named(step, "mode"),
        recalibration: named(step, "recalibration"),
        observation: named(step, "observation"),
        sample: count("sample"),
        ..TreatmentSpec::of(policy, seed)
    })
}

/// Eviction has no rule: a cut after every token is dynamic, one every W tokens looks at what came before,
/// one after a prompt is held.
fn eviction(step: &Step, seed: u64) -> TreatmentSpec {
    let count = |name| step.count(name).and_then(|count| usize::try_from(count).ok());
    let (window, prompt_tokens) = (count("window"), count("prompt_tokens"));
    let (policy, rule) = match (window, prompt_tokens) {
        (_, Some(_)) => (Policy::Window, Some(Rule::Prompt)),
        (Some(_), None) => (Policy::Window, Some(Rule::PreviousWindow)),
        (None, None) => (Policy::Dynamic, None),
    };
    TreatmentSpec {
        part: Part::Kv,
        score: named(step, "score"),
        sparsity: step.share("sparsity").unwrap_or_default().get(),
        window: window.or(prompt_tokens),
        rule,
        prompt_tokens,
        sinks: count("sinks"),
        mode: Some(Mode::Write),
        ..TreatmentSpec::of(policy, seed)
    }
}

/// A word of a vocabulary; the setting lists no other.
fn named<T: std::str::FromStr>(step: &Step, setting: &str) -> Option<T> {
    step.name(setting)?.parse().ok()
}

/// The step of flat fields; none for dense.
pub(super) fn step(treatment: &Treatment) -> Option<Step> {
    let way = match treatment.policy {
        Policy::Dense => return None,
        Policy::Static => Way::Cut,
        Policy::Dynamic | Policy::Window => Way::Skip,
        Policy::Observe => Way::Observe,
    };
    let kind = kinds::find(way, treatment.part.as_str())?;
    let name = |name: &'static str| Value::Name(name.to_owned());
    let count = |count: usize| Value::Count(count as u64);
    // A treatment was checked to be a share when it was made.
    let sparsity = Share::new(treatment.sparsity).unwrap_or_default();
    let has_sparsity = way != Way::Observe || sparsity != Share::ZERO;
    // One token at a time is what a skip without a rule is.
    let window = treatment.window.filter(|_| treatment.policy != Policy::Dynamic);
    // What `eviction` has filled in.
    let evicts = (treatment.part, treatment.mode) == (Part::Kv, Some(Mode::Write));
    let window = window.filter(|_| !evicts || treatment.prompt_tokens.is_none());
    let rule = treatment.rule.filter(|_| !evicts);
    let values = [
        ("observation", treatment.observation.map(|own| name(own.as_str()))),
        ("sparsity", has_sparsity.then_some(Value::Share(sparsity))),
        ("window", window.map(count)),
        ("rule", rule.map(|own| name(own.as_str()))),
        ("prompt_tokens", treatment.prompt_tokens.map(count)),
        ("sinks", treatment.sinks.map(count)),
        ("score", treatment.score.map(|own| name(own.as_str()))),
        ("mode", treatment.mode.map(|own| name(own.as_str()))),
        ("recalibration", treatment.recalibration.map(|own| name(own.as_str()))),
        ("sample", treatment.sample.map(count)),
    ];
    let values: BTreeMap<&'static str, Value> =
        values.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    Some(Step::checked(kind, values))
}

/// The rules of flat fields, and what they fill in.
pub(super) fn check(own: &mut Step) -> Result<(), StepError> {
    let Some(spec) = spec(own, 0) else { return Ok(()) };
    if own.way() == Way::Skip && spec.rule.is_none() && spec.window.is_some_and(|w| w > 1) {
        let problem = "a window of several tokens needs a `rule`, by which its set is chosen";
        return Err(own.wrong(problem));
    }
    if let Some(filled) = step(&Treatment::new(spec)?) {
        *own = filled;
    }
    Ok(())
}

/// What a step on neurons or channels needs before the run: sets that are chosen there need their score.
pub(super) fn needs(step: &Step) -> Needs {
    let before_the_run = step.way() == Way::Cut || named(step, "rule") == Some(Rule::Calibration);
    match named::<Score>(step, "score") {
        Some(score) if before_the_run => score.needs(),
        _ => Needs::Nothing,
    }
}

/// `static`, `dynamic`, `window` or `observe`, and the part where it is not the feed-forward block.
pub(super) fn title(step: &Step) -> String {
    let policy = match (step.way(), step.value("rule")) {
        (Way::Cut, _) => Policy::Static,
        (Way::Skip, None) => Policy::Dynamic,
        (Way::Skip, Some(_)) => Policy::Window,
        (Way::Observe, _) => Policy::Observe,
    };
    match step.kind().part {
        "ffn" => policy.to_string(),
        part => format!("{policy} {part}"),
    }
}

/// `90 %`, without the digits that a product with 100 adds.
pub(super) fn percent(share: Share) -> String {
    let percent = format!("{:.6}", 100.0 * share.get());
    format!("{} %", percent.trim_end_matches('0').trim_end_matches('.'))
}

/// `with 90 % of the UNITS dropped, those with the least `magnitude`: ...`
pub(super) fn dropped(step: &Step, units: &str) -> String {
    let chosen = match step.name("score") {
        Some("random") => "chosen at random".to_owned(),
        Some(score) => format!("those with the least `{score}`"),
        None => "by no score".to_owned(),
    };
    let share = percent(step.share("sparsity").unwrap_or_default());
    format!("with {share} of the {units} dropped, {chosen}: {}", when(step))
}

/// How long a kept set lasts and what it is chosen on.
fn when(step: &Step) -> String {
    let tokens = step.window().unwrap_or(1);
    let how = match (step.way(), step.name("rule")) {
        (Way::Cut, _) => return "the rest is one kept set for the whole run".to_owned(),
        (_, None) => {
            return "the kept set is chosen again for every token, from that token's scores"
                .to_owned();
        }
        (_, Some("prompt")) => {
            let tokens = step.count("prompt_tokens").unwrap_or_default();
            return format!(
                "one kept set is chosen on the first {tokens} tokens of each sequence and held"
            );
        }
        (_, Some("calibration")) => {
            return format!(
                "every {tokens} tokens share a kept set, always the one of the static policy"
            );
        }
        (_, Some("first-token")) => "by the scores of its first token",
        (_, Some("previous-window")) => "by scores summed over the window before",
        (_, Some("random")) => "at random",
        (_, Some(_)) => "by scores summed over its own tokens, so it looks ahead",
    };
    format!("each commitment window of {tokens} tokens has one kept set, chosen {how}")
}

/// What an observation of neurons or channels measures.
pub(super) fn observed(step: &Step, unit: &str) -> String {
    let what = match step.name("observation") {
        Some("gradient") => format!("what the loss's gradient says of every {unit}"),
        Some("ablation") => format!(
            "what dropping one {unit} alone does to the loss, on {} of each site",
            step.count("sample").unwrap_or_default()
        ),
        Some("overlap") => {
            "how much of its kept set a token shares with the tokens before it".to_owned()
        }
        _ => format!("every score of every {unit} that a forward pass gives"),
    };
    format!("with nothing dropped, to measure {what}")
}
