//! Early exit: a token leaves before the last layer (docs/SPEC.md section 13).

use super::never;
use crate::{Kind, Label, Needs, Setting, Step, StepError, Takes, Way};

const METHOD: Setting = Setting {
    name: "method",
    takes: Takes::Name(&[
        (
            "confidence",
            "at the first layer whose largest probability is at least `threshold` (CALM 2207.07061)",
        ),
        (
            "patience",
            "at the first layer that ends `patience` layers in a row with one argmax (PABEE 2006.04152)",
        ),
    ]),
    needed: true,
    doc: "when a token leaves",
    label: Label::Bare,
};

pub(super) const THRESHOLD: Setting = Setting {
    name: "threshold",
    takes: Takes::Threshold,
    needed: false,
    doc: "τ, the largest probability of the next token at which it leaves",
    label: Label::After("τ="),
};

pub(super) const PATIENCE: Setting = Setting {
    name: "patience",
    takes: Takes::Count { least: 1, most: 1 << 20 },
    needed: false,
    doc: "m, layers in a row with the same argmax",
    label: Label::After("m="),
};

const MODE: Setting = Setting {
    name: "mode",
    takes: Takes::Name(&[
        (
            "full-context",
            "later tokens see it as all layers make it: an upper bound, what papers report",
        ),
        (
            "propagate",
            "later layers get its exit stream, also for keys, values and states: what a real machine can do",
        ),
    ]),
    needed: true,
    doc: "what the tokens that follow see of a token that left",
    label: Label::Bare,
};

/// Layers that a token does without.
pub(super) const SKIP: Kind = Kind {
    way: Way::Skip,
    name: "exit",
    part: "layers",
    doc: "the last layers of a token, predicted before them once it is sure",
    settings: &[METHOD, THRESHOLD, PATIENCE, MODE],
    example: "skip=exit,method=confidence,threshold=0.95,mode=full-context",
    check,
    needs: |_| Needs::Nothing,
    title: |_| "exit".to_owned(),
    phrase,
    leaves_zeros: never,
    fills_zeros: false,
};

fn check(step: &mut Step) -> Result<(), StepError> {
    let (needed, refused) = match step.name("method") {
        Some("confidence") => ("threshold", "patience"),
        _ => ("patience", "threshold"),
    };
    let method = step.name("method").unwrap_or_default();
    if step.value(needed).is_none() {
        return Err(step.wrong(format!("method `{method}` needs `{needed}`")));
    }
    if step.value(refused).is_some() {
        return Err(step.wrong(format!("method `{method}` takes no `{refused}`")));
    }
    Ok(())
}

/// The condition of leaving, as the rest of `at the first layer ...`.
pub(super) fn condition(step: &Step) -> Option<String> {
    let threshold = step
        .threshold("threshold")
        .map(|threshold| format!("whose largest probability is at least {threshold}"));
    let patience = || match step.count("patience")? {
        1 => Some("there is".to_owned()),
        layers => Some(format!("that ends {layers} layers in a row with the same argmax")),
    };
    threshold.or_else(patience)
}

fn phrase(step: &Step) -> String {
    let condition = condition(step).unwrap_or_default();
    let seen = match step.name("mode") {
        Some("propagate") => "the layers after it get its exit stream",
        _ => "the tokens that follow see it as all layers make it",
    };
    format!("with every token predicted at the first layer {condition}; {seen}")
}

#[cfg(test)]
mod tests {
    use crate::{Recipe, Step};

    fn refusal(step: &str) -> String {
        step.parse::<Step>().unwrap_err().to_string()
    }

    #[test]
    fn each_method_takes_its_own_setting() {
        let missing = refusal("skip=exit,method=confidence,mode=propagate");
        assert!(missing.contains("needs `threshold`"), "{missing}");
        let other = refusal("skip=exit,method=patience,patience=2,threshold=0.9,mode=propagate");
        assert!(other.contains("takes no `threshold`"), "{other}");
        for outside in ["0", "1.5", "nan"] {
            let step = format!("skip=exit,method=confidence,threshold={outside},mode=propagate");
            assert!(refusal(&step).contains("0 < t <= 1"), "{outside}");
        }
    }

    #[test]
    fn it_goes_with_one_skip_of_every_other_part() {
        let exit: Step =
            "skip=exit,method=confidence,threshold=1,mode=full-context".parse().unwrap();
        assert_eq!(exit.label(), "exit confidence τ=1 full-context");
        let neurons: Step = "skip=ffn,score=magnitude,sparsity=0.5".parse().unwrap();
        let cut: Step = "cut=layers,method=drop,score=last,n=1".parse().unwrap();
        assert!(Recipe::new(vec![cut, neurons, exit.clone()], 1).is_ok());
        assert!(Recipe::new(vec![exit.clone(), exit], 1).is_err());
    }
}
