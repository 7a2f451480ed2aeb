//! Single entries of the matrices inside the blocks (docs/SPEC.md section 10).

use crate::recipe::flat::percent;
use crate::{Kind, Label, Needs, Setting, Step, StepError, Takes, Value, Way};

/// Bits a weight is rounded to, and the inputs that share a grid.
pub(super) const BITS: Setting = Setting {
    name: "bits",
    takes: Takes::Count { least: 2, most: 8 },
    needed: false,
    doc: "bits of a rounded weight",
    label: Label::Before(" bits"),
};

/// Inputs of a row that share one scale and one zero.
pub(super) const GROUP: Setting = Setting {
    name: "group",
    takes: Takes::Count { least: 1, most: 1 << 20 },
    needed: false,
    doc: "consecutive inputs of a row that share a scale and a zero (64 unless said otherwise)",
    label: Label::Hidden,
};

/// `group` where nothing is said.
pub(super) const DEFAULT_GROUP: u64 = 64;

const METHOD: Setting = Setting {
    name: "method",
    takes: Takes::Name(&[
        ("magnitude", "largest |w|, pooled over the matrix (Han 2015)"),
        ("magnitude-global", "largest |w|, pooled over all matrices (Han 2015)"),
        ("magnitude-rows", "largest |w| within each output row"),
        ("wanda", "largest |w|·‖x‖₂ within each output row (Sun 2023)"),
        ("obd", "largest H·w², pooled over the matrix, without an update (LeCun 1990)"),
        ("sparsegpt", "largest w²/U², and the rest makes up for what goes (Frantar 2023)"),
        (
            "sparsegpt-mask",
            "the same entries, and the rest stays as it is: what the update is worth",
        ),
        ("random", "seeded, pooled over the matrix: the control"),
    ]),
    needed: true,
    doc: "how entries are chosen",
    label: Label::Bare,
};

const PATTERN: Setting = Setting {
    name: "pattern",
    takes: Takes::Pattern,
    needed: false,
    doc: "n:m, of every m consecutive inputs of a row the n of largest score stay",
    label: Label::Bare,
};

/// Some entries become zero.
pub(super) const CUT: Kind = Kind {
    way: Way::Cut,
    name: "weights",
    part: "weights",
    doc: "single entries of the matrices inside the blocks, set to zero",
    settings: &[METHOD, Setting::SPARSITY.optional(), PATTERN, BITS, GROUP],
    example: "cut=weights,method=wanda,sparsity=0.5",
    check,
    needs,
    title: |_| "weights".to_owned(),
    phrase,
    leaves_zeros: |_| true,
    fills_zeros: false,
};

fn check(step: &mut Step) -> Result<(), StepError> {
    if step.value("sparsity").is_some() == step.value("pattern").is_some() {
        return Err(step.wrong("give either `sparsity` or `pattern`"));
    }
    if step.name("method") == Some("magnitude-global") && step.value("pattern").is_some() {
        return Err(step.wrong(
            "a pattern is kept within each row, and `magnitude-global` pools over the model: use \
             `magnitude`",
        ));
    }
    let rounds = step.value("bits").is_some();
    if rounds && step.name("method") != Some("sparsegpt") {
        return Err(step.wrong(
            "only `sparsegpt` rounds in the same sweep: follow others by a step `cut=bits`",
        ));
    }
    if step.value("group").is_some() && !rounds {
        return Err(step.wrong("`group` belongs to `bits`"));
    }
    if rounds {
        step.fill("group", Value::Count(DEFAULT_GROUP));
    }
    Ok(())
}

fn needs(step: &Step) -> Needs {
    match step.name("method") {
        Some("wanda" | "obd" | "sparsegpt" | "sparsegpt-mask") => Needs::Inputs,
        _ => Needs::Nothing,
    }
}

fn phrase(step: &Step) -> String {
    let method = step.name("method").unwrap_or_default();
    let share = match step.name("pattern") {
        Some(pattern) => format!("all but {} inputs of a row", pattern.replace(':', " of every ")),
        None => percent(step.share("sparsity").unwrap_or_default()),
    };
    let rounded = match step.count("bits") {
        Some(bits) => format!(", and the rest rounded to {bits} bits"),
        None => String::new(),
    };
    format!("with {share} of the weights of every matrix set to zero by `{method}`{rounded}")
}
