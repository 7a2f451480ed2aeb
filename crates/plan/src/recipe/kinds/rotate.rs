//! Rotation of the residual stream (QuaRot, arXiv:2404.00456, without its online parts).

use super::never;
use crate::{Kind, Needs, Way};

/// The same function by other weights, which round better.
pub(super) const CUT: Kind = Kind {
    way: Way::Cut,
    name: "rotate",
    part: "weights",
    doc: "the residual stream turned by a seeded random orthogonal matrix; logits stay",
    settings: &[],
    example: "cut=rotate",
    check: |_| Ok(()),
    needs: |_| Needs::Nothing,
    title: |_| "rotate".to_owned(),
    phrase: |_| "with the residual stream turned by a random orthogonal matrix".to_owned(),
    leaves_zeros: never,
    fills_zeros: true,
};
