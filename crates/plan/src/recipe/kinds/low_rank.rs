//! Matrices of low rank (docs/SPEC.md section 12).

use super::{
    never,
    weights::{BITS, DEFAULT_GROUP, GROUP},
};
use crate::{Kind, Label, Needs, Setting, Takes, Value, Way};

const METHOD: Setting = Setting {
    name: "method",
    takes: Takes::Name(&[
        ("svd", "the nearest matrix of that rank"),
        ("svd-activations", "nearest in the outputs on calibration text: W·chol(XXᵀ) is cut"),
    ]),
    needed: true,
    doc: "in which sense the matrix of low rank is the best one",
    label: Label::Bare,
};

pub(super) const RANK: Setting = Setting {
    name: "rank",
    takes: Takes::Count { least: 1, most: 1 << 20 },
    needed: false,
    doc: "rank that is kept",
    label: Label::After("r="),
};

/// Every matrix becomes a product of two thin ones.
pub(super) const CUT: Kind = Kind {
    way: Way::Cut,
    name: "low-rank",
    part: "weights",
    doc: "every matrix inside the blocks replaced by its best one of low rank",
    settings: &[METHOD, Setting { needed: true, ..RANK }, BITS, GROUP],
    example: "cut=low-rank,method=svd,rank=64",
    check: |step| {
        if step.value("bits").is_some() {
            step.fill("group", Value::Count(DEFAULT_GROUP));
        } else if step.value("group").is_some() {
            return Err(step.wrong("`group` belongs to `bits`"));
        }
        Ok(())
    },
    needs: |step| match step.name("method") {
        Some("svd-activations") => Needs::Inputs,
        _ => Needs::Nothing,
    },
    title: |_| "low-rank".to_owned(),
    phrase: |step| {
        let method = step.name("method").unwrap_or_default();
        let rank = step.count("rank").unwrap_or_default();
        let rounded = match step.count("bits") {
            Some(bits) => format!(", its factors rounded to {bits} bits"),
            None => String::new(),
        };
        format!("with every matrix replaced by its best one of rank {rank} by `{method}`{rounded}")
    },
    leaves_zeros: never,
    fills_zeros: true,
};
