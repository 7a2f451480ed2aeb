//! Rounding of weights to few bits (docs/SPEC.md section 11).

use super::{
    never,
    weights::{BITS, DEFAULT_GROUP, GROUP},
};
use crate::{Kind, Label, Needs, Setting, Takes, Value, Way};

const METHOD: Setting = Setting {
    name: "method",
    takes: Takes::Name(&[
        ("rtn", "each weight to the nearest value of its group"),
        ("gptq", "column by column, the rest makes up for each error (Frantar 2022)"),
    ]),
    needed: true,
    doc: "how weights are rounded",
    label: Label::Bare,
};

/// Weights take few values.
pub(super) const CUT: Kind = Kind {
    way: Way::Cut,
    name: "bits",
    part: "weights",
    doc: "weights of the matrices inside the blocks, rounded to few bits",
    settings: &[METHOD, Setting { needed: true, ..BITS }, GROUP],
    example: "cut=bits,method=rtn,bits=4",
    check: |step| {
        step.fill("group", Value::Count(DEFAULT_GROUP));
        Ok(())
    },
    needs: |step| match step.name("method") {
        Some("gptq") => Needs::Inputs,
        _ => Needs::Nothing,
    },
    title: |_| "bits".to_owned(),
    phrase: |step| {
        let method = step.name("method").unwrap_or_default();
        let bits = step.count("bits").unwrap_or_default();
        let group = step.count("group").unwrap_or_default();
        format!("with every weight rounded to {bits} bits in groups of {group} by `{method}`")
    },
    leaves_zeros: never,
    fills_zeros: false,
};
