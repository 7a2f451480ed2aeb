//! Neurons of feed-forward blocks: scratch-work, recomputed for every token.

use super::sparsity::{PROMPT_TOKENS, RULE, UNITS_OF_A_PART, WINDOW, observed};
use crate::recipe::flat;
use crate::{Kind, Label, Setting, Takes, Way};

const SCORE: Setting = Setting {
    name: "score",
    takes: Takes::Name(&[
        ("magnitude", "Σ|h|, the size of the activation"),
        ("weight", "‖w‖₂, the weights that leave the neuron"),
        ("impact", "Σ|h|·‖w‖₂, the change of the block's output when it alone is dropped"),
        ("energy", "Σh²"),
        ("wanda", "‖h‖₂·‖w‖₁"),
        ("taylor", "|Σg·h|, first order in the gradient g of the loss"),
        ("fisher", "Σ(g·h)²"),
        ("random", "seeded uniform: the control"),
        ("reversed", "minus magnitude: the other control"),
    ]),
    needed: true,
    doc: "what ranks the neurons",
    label: Label::Bare,
};

const UNITS: &str = "neurons of each feed-forward block";

/// One kept set for the whole run: smaller matrices.
pub(super) const CUT: Kind = Kind {
    way: Way::Cut,
    name: "ffn",
    part: "ffn",
    doc: "neurons of feed-forward blocks, cut for good (policy static)",
    settings: &[Setting::SPARSITY, SCORE],
    example: "cut=ffn,score=magnitude,sparsity=0.5",
    phrase: |step| flat::dropped(step, UNITS),
    ..UNITS_OF_A_PART
};

/// Kept sets that are chosen while the model runs.
pub(super) const SKIP: Kind = Kind {
    way: Way::Skip,
    name: "ffn",
    part: "ffn",
    doc: "neurons of feed-forward blocks, skipped per token or window (policies dynamic and window)",
    settings: &[Setting::SPARSITY, WINDOW, RULE, SCORE, PROMPT_TOKENS],
    example: "skip=ffn,score=magnitude,sparsity=0.9,window=16,rule=window-mean",
    phrase: |step| flat::dropped(step, UNITS),
    ..UNITS_OF_A_PART
};

/// Scores, gradients, ablations and overlaps.
pub(super) const OBSERVE: Kind = Kind {
    way: Way::Observe,
    name: "ffn",
    part: "ffn",
    doc: "what can be measured of neurons: scores, gradients, ablations, overlaps of kept sets",
    settings: &observed(SCORE),
    example: "observe=ffn,observation=forward",
    phrase: |step| flat::observed(step, "neuron"),
    ..UNITS_OF_A_PART
};
