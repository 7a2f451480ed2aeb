//! The cache of attention: what a transformer remembers, position by position (docs/SPEC.md section 14).

use super::never;
use crate::recipe::flat;
use crate::{Kind, Label, Needs, Setting, Step, StepError, Takes, Way};

const MODE: Setting = Setting {
    name: "mode",
    takes: Takes::Name(&[
        ("read", "a position that is not read by one token can be read by the next"),
        ("write", "eviction: what is dropped never comes back"),
    ]),
    needed: true,
    doc: "whether positions are skipped for the moment or dropped for good",
    label: Label::Bare,
};

const SCORE: Setting = Setting {
    name: "score",
    takes: Takes::Name(&[
        ("attention", "Σ_h a, the attention that the token pays the position"),
        ("attention-value", "Σ_h a·‖v‖₂, the measured effect"),
        ("key-size", "‖k‖₂"),
        ("key-size-reversed", "minus ‖k‖₂: small keys draw attention (Devoto 2406.11430)"),
        ("value-size", "‖v‖₂"),
        ("recency", "the latest positions (with `sinks` StreamingLLM, 2309.17453)"),
        (
            "accumulated",
            "the attention of all tokens so far, over what was kept then (H2O 2306.14048)",
        ),
        ("random", "seeded uniform: the control"),
    ]),
    needed: true,
    doc: "what ranks the positions",
    label: Label::Bare,
};

const SINKS: Setting = Setting {
    name: "sinks",
    takes: Takes::Count { least: 1, most: 1 << 20 },
    needed: false,
    doc: "the first n positions come before every score",
    label: Label::After("sinks="),
};

const WINDOW: Setting = Setting {
    name: "window",
    takes: Takes::Count { least: 1, most: u64::MAX },
    needed: false,
    doc: "W: the cache is cut every W tokens, or W queries choose together what they read (1 unless said \
          otherwise)",
    label: Label::After("W="),
};

const RULE: Setting = Setting {
    name: "rule",
    takes: Takes::Name(&[
        ("window-mean", "scores summed over the window's own queries; looks ahead"),
        ("first-token", "scores of the window's first query; causal"),
        ("previous-window", "scores summed over the queries of the window before; causal"),
        ("random", "a seeded random set per window: the control"),
    ]),
    needed: false,
    doc: "how what a window of queries reads is chosen; positions inside the window all stay",
    label: Label::Bare,
};

const PROMPT: Setting = Setting {
    name: "prompt_tokens",
    takes: Takes::Count { least: 1, most: u64::MAX },
    needed: false,
    doc: "the cache is cut once, after P tokens, by the scores of the last 32 of them (SnapKV 2404.14469)",
    label: Label::After("prompt="),
};

/// Positions that a token does not read, or that are evicted.
pub(super) const SKIP: Kind = Kind {
    way: Way::Skip,
    name: "kv",
    part: "kv",
    doc: "cached positions of attention, unread for the moment or evicted",
    settings: &[MODE, Setting::SPARSITY, WINDOW, RULE, SINKS, SCORE, PROMPT],
    example: "skip=kv,mode=read,score=attention,sparsity=0.5",
    check,
    needs: |_| Needs::Nothing,
    title: |_| "kv".to_owned(),
    phrase,
    leaves_zeros: never,
    fills_zeros: false,
};

fn check(step: &mut Step) -> Result<(), StepError> {
    let (window, prompt) = (step.count("window"), step.count("prompt_tokens"));
    let has_rule = step.value("rule").is_some();
    let is_read = step.name("mode") == Some("read");
    let problem = match (is_read, window, prompt) {
        (true, _, Some(_)) => {
            "`prompt_tokens` belongs to mode `write`: a set that is held to the end is an eviction"
        }
        (true, Some(_), _) if !has_rule => "a window of queries needs a `rule`",
        (true, None, _) if has_rule => "a rule needs a `window`: the queries that share a set",
        (false, ..) if has_rule => "mode `write` cuts by its score: it takes no `rule`",
        (false, Some(_), Some(_)) => {
            "with `prompt_tokens` the cache is cut once: it takes no `window`"
        }
        (false, None, Some(_)) if step.name("score") == Some("accumulated") => {
            "with `prompt_tokens` the last tokens of the prompt choose: use `attention`"
        }
        _ => {
            // What is meant where nothing is said has one spelling.
            if !is_read && window == Some(1) {
                step.forget("window");
            }
            return Ok(());
        }
    };
    Err(step.wrong(problem))
}

fn phrase(step: &Step) -> String {
    let share = flat::percent(step.share("sparsity").unwrap_or_default());
    let score = step.name("score").unwrap_or_default();
    let sinks = step.count("sinks").map(|n| format!(", but for the first {n}"));
    let sinks = sinks.unwrap_or_default();
    let when = match (step.name("mode"), step.count("prompt_tokens"), step.count("window")) {
        (Some("read"), _, None) => "not read, chosen again for every token".to_owned(),
        (Some("read"), _, Some(window)) => format!("not read, chosen for every {window} queries"),
        (_, Some(prompt), _) => format!("evicted once, after {prompt} tokens"),
        (_, None, Some(window)) => format!("evicted for good, every {window} tokens"),
        (_, None, None) => "evicted for good, after every token".to_owned(),
    };
    format!("with {share} of the cached positions {when}, those with the least `{score}`{sinks}")
}

/// What attention looks at, and for how long.
pub(super) const OBSERVE: Kind = Kind {
    way: Way::Observe,
    name: "kv",
    part: "kv",
    doc: "what can be measured of attention: how far and how widely it looks, sizes, how long positions stay",
    settings: &[OBSERVATION, Setting::SPARSITY],
    example: "observe=kv,observation=attention,sparsity=0.9",
    check: |_| Ok(()),
    needs: |_| Needs::Nothing,
    title: |_| "observe kv".to_owned(),
    phrase: |step| {
        let share = flat::percent(step.share("sparsity").unwrap_or_default());
        format!(
            "with nothing changed, to measure what attention looks at, and how long positions stay among \
             those that {share} of the others fall behind"
        )
    },
    leaves_zeros: never,
    fills_zeros: false,
};

const OBSERVATION: Setting = Setting {
    name: "observation",
    takes: Takes::Name(&[(
        "attention",
        "attention by lag, by position and its entropy; sizes of keys against it; the half-life of a \
         position among the kept",
    )]),
    needed: true,
    doc: "what is measured",
    label: Label::Bare,
};
