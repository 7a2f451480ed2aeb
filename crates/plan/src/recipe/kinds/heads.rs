//! Attention heads: scratch-work of attention, recomputed for every token (docs/SPEC.md section 14).

use super::never;
use super::sparsity::{PROMPT_TOKENS, WINDOW};
use crate::recipe::flat;
use crate::{
    DEFAULT_PROMPT_TOKENS, Kind, Label, Needs, Setting, Step, StepError, Takes, Value, Way,
};

const SCORE: Setting = Setting {
    name: "score",
    takes: Takes::Name(&[
        ("magnitude", "Σ‖o‖₂, the size of the head's output"),
        ("impact", "Σ‖W·o‖₂, the change of the attention's output when the head alone is dropped"),
        ("random", "seeded uniform: the control"),
    ]),
    needed: true,
    doc: "what ranks the heads",
    label: Label::Bare,
};

const RULE: Setting = Setting {
    name: "rule",
    takes: Takes::Name(&[
        ("window-mean", "scores summed over the window's own tokens; looks ahead"),
        ("first-token", "scores of the window's first token; causal"),
        (
            "previous-window",
            "scores summed over the window before, in the first one of its first token; causal",
        ),
        ("prompt", "scores summed over the first P tokens, then held"),
        ("random", "a seeded random set per window: the control"),
    ]),
    needed: false,
    doc: "how a window's kept set is chosen; without it every token has its own",
    label: Label::Bare,
};

/// Kept sets that are chosen while the model runs.
pub(super) const SKIP: Kind = Kind {
    way: Way::Skip,
    name: "heads",
    part: "heads",
    doc: "attention heads, skipped per token or window",
    settings: &[Setting::SPARSITY, WINDOW, RULE, SCORE, PROMPT_TOKENS],
    example: "skip=heads,score=impact,sparsity=0.5",
    check,
    needs: |_| Needs::Nothing,
    title: |step| match step.value("rule") {
        None => "dynamic heads".to_owned(),
        Some(_) => "window heads".to_owned(),
    },
    phrase: |step| flat::dropped(step, "heads of each attention"),
    leaves_zeros: never,
    fills_zeros: false,
};

fn check(step: &mut Step) -> Result<(), StepError> {
    let (window, rule) = (step.count("window"), step.name("rule").map(str::to_owned));
    let is_prompt = rule.as_deref() == Some("prompt");
    let problem = match (window, &rule) {
        (Some(_), None) => "a window needs a `rule`, by which its set is chosen",
        (None, Some(_)) => "a rule needs a `window`: the tokens that share a set",
        _ if step.count("prompt_tokens").is_some() && !is_prompt => {
            "`prompt_tokens` belongs to the rule `prompt`"
        }
        _ => {
            if is_prompt && step.count("prompt_tokens").is_none() {
                step.fill("prompt_tokens", Value::Count(DEFAULT_PROMPT_TOKENS as u64));
            }
            return Ok(());
        }
    };
    Err(step.wrong(problem))
}
