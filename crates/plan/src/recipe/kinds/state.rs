//! Channels of the recurrent state of Mamba-2 mixers: memory, carried from token to token.

use super::sparsity::{
    MODE, PROMPT_TOKENS, RECALIBRATION, RULE, UNITS_OF_A_PART, WINDOW, observed,
};
use crate::recipe::flat;
use crate::{Kind, Label, Setting, Takes, Way};

const SCORE: Setting = Setting {
    name: "score",
    takes: Takes::Name(&[
        ("random", "seeded uniform: the control"),
        ("ghost", "sqrt(mean ΣH²·C²): the output's error when the channel is not read"),
        ("ghost-factored", "mean(H²)·mean(C²), the earlier prototype of ghost"),
        ("state-weight", "‖W_B‖₂·‖W_C‖₂, the size of the channel's weights"),
        ("state-taylor", "|ΣC·g|, first order in the gradient of the loss"),
    ]),
    needed: true,
    doc: "what ranks the channels",
    label: Label::Bare,
};

const UNITS: &str = "recurrent-state channels of each Mamba-2 layer";

/// One kept set for the whole run: a smaller state.
pub(super) const CUT: Kind = Kind {
    way: Way::Cut,
    name: "state",
    part: "state",
    doc: "channels of Mamba-2's state, cut for good (policy static)",
    settings: &[Setting::SPARSITY, SCORE, RECALIBRATION],
    example: "cut=state,score=ghost,sparsity=0.5",
    phrase: |step| flat::dropped(step, UNITS),
    ..UNITS_OF_A_PART
};

/// Kept sets that are chosen while the model runs.
pub(super) const SKIP: Kind = Kind {
    way: Way::Skip,
    name: "state",
    part: "state",
    doc: "channels of Mamba-2's state, skipped per token or window (policies dynamic and window)",
    settings: &[Setting::SPARSITY, WINDOW, RULE, SCORE, MODE, RECALIBRATION, PROMPT_TOKENS],
    example: "skip=state,score=ghost,sparsity=0.9,mode=read",
    phrase: |step| flat::dropped(step, UNITS),
    ..UNITS_OF_A_PART
};

/// Scores, gradients and ablations.
pub(super) const OBSERVE: Kind = Kind {
    way: Way::Observe,
    name: "state",
    part: "state",
    doc: "what can be measured of state channels: scores, gradients, ablations",
    settings: &observed(SCORE),
    example: "observe=state,observation=forward",
    phrase: |step| flat::observed(step, "state channel"),
    ..UNITS_OF_A_PART
};
