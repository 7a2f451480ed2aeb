//! Attention heads: scratch-work of attention, recomputed for every token (docs/SPEC.md section 14).

use super::sparsity::{PROMPT_TOKENS, RULE, UNITS_OF_A_PART, WINDOW};
use crate::recipe::flat;
use crate::{Kind, Label, Setting, Takes, Way};

const SCORE: Setting = Setting {
    name: "score",
    takes: Takes::Name(&[
        ("magnitude", "Σ‖o‖₂, the size of the head's output"),
        ("impact", "Σ‖W·o‖₂, the change of the attention's output when the head alone is dropped"),
        ("taylor", "|Σg·o|, first order in the gradient g of the loss"),
        ("random", "seeded uniform: the control"),
    ]),
    needed: true,
    doc: "what ranks the heads",
    label: Label::Bare,
};

const UNITS: &str = "heads of each attention";

/// One kept set for the whole run: smaller attentions.
pub(super) const CUT: Kind = Kind {
    way: Way::Cut,
    name: "heads",
    part: "heads",
    doc: "attention heads, cut for good",
    settings: &[Setting::SPARSITY, SCORE],
    example: "cut=heads,score=impact,sparsity=0.5",
    phrase: |step| flat::dropped(step, UNITS),
    // Of those that share a key head with a kept one.
    leaves_zeros: |_| true,
    ..UNITS_OF_A_PART
};

/// Kept sets that are chosen while the model runs.
pub(super) const SKIP: Kind = Kind {
    way: Way::Skip,
    name: "heads",
    part: "heads",
    doc: "attention heads, skipped per token or window",
    settings: &[Setting::SPARSITY, WINDOW, RULE, SCORE, PROMPT_TOKENS],
    example: "skip=heads,score=impact,sparsity=0.5",
    phrase: |step| flat::dropped(step, UNITS),
    ..UNITS_OF_A_PART
};
