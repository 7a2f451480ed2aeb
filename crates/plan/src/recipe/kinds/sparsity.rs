//! What steps on neurons, on state channels and on heads share.

use super::never;
use crate::recipe::flat;
use crate::{Kind, Label, Setting, Takes, Way};

/// What is the same in every kind of step on neurons, state channels and heads; each fills in its own words.
pub(super) const UNITS_OF_A_PART: Kind = Kind {
    way: Way::Cut,
    name: "",
    part: "",
    doc: "",
    settings: &[],
    example: "",
    check: flat::check,
    needs: flat::needs,
    title: flat::title,
    phrase: |_| String::new(),
    leaves_zeros: never,
    fills_zeros: false,
};

/// The settings of what is measured, with the scores of the part.
pub(super) const fn observed(score: Setting) -> [Setting; 5] {
    [
        Setting { needed: true, ..OBSERVATION },
        Setting::SPARSITY.optional(),
        DROPPED_WINDOW,
        score.optional(),
        SAMPLE,
    ]
}

const fn setting(name: &'static str, takes: Takes, label: Label, doc: &'static str) -> Setting {
    Setting { name, takes, needed: false, doc, label }
}

pub(super) const WINDOW: Setting = setting(
    "window",
    Takes::Count { least: 1, most: u64::MAX },
    Label::After("W="),
    "W, tokens of a sequence that share one kept set",
);

pub(super) const RULE: Setting = setting(
    "rule",
    Takes::Name(&[
        ("window-mean", "scores summed over the window's own tokens; looks ahead"),
        ("first-token", "scores of the window's first token; causal"),
        (
            "previous-window",
            "scores summed over the window before, in the first one of its first token; causal",
        ),
        ("prompt", "scores summed over the first P tokens, then held"),
        ("calibration", "the set of the static policy, or of a cut"),
        ("random", "a seeded random set per window: the control"),
    ]),
    Label::Bare,
    "how a window's kept set is chosen; without it every token has its own",
);

pub(super) const PROMPT_TOKENS: Setting = setting(
    "prompt_tokens",
    Takes::Count { least: 1, most: u64::MAX },
    Label::Hidden,
    "P, tokens whose scores are summed",
);

pub(super) const MODE: Setting = setting(
    "mode",
    Takes::Name(&[
        ("read", "masks C: a skipped channel keeps its memory"),
        ("write", "masks B and C: what is not written stays missing"),
    ]),
    Label::Bare,
    "what a set that changes over time acts on",
);

pub(super) const RECALIBRATION: Setting = setting(
    "recalibration",
    Takes::Name(&[
        ("sequential", "a layer is scored on activations that passed the cut layers below"),
        ("one-shot", "all layers are scored on activations of the dense model"),
    ]),
    Label::Bare,
    "the activations on which a set that is chosen before the run is scored",
);

const OBSERVATION: Setting = setting(
    "observation",
    Takes::Name(&[
        ("forward", "every score that a forward pass gives"),
        ("gradient", "the scores that need gradients of the loss"),
        ("ablation", "the rise of the loss when one neuron or channel alone is dropped"),
        ("overlap", "how fast the per-token kept sets change, by lag"),
    ]),
    Label::Bare,
    "what is measured",
);

const DROPPED_WINDOW: Setting =
    Setting { doc: "tokens for which a channel is dropped at a time", ..WINDOW };

const SAMPLE: Setting = setting(
    "sample",
    Takes::Count { least: 1, most: u64::MAX },
    Label::Hidden,
    "neurons or channels of a site that are measured, drawn by the seed",
);
