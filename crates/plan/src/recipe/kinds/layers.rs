//! Whole layers: dropped, or replaced by a linear map (docs/SPEC.md section 12).

use super::{exit, low_rank::RANK, never};
use crate::{Kind, Label, Needs, Setting, Step, StepError, Takes, Way};

const METHOD: Setting = Setting {
    name: "method",
    takes: Takes::Name(&[
        ("drop", "layers are left out"),
        ("linearise", "a layer becomes a linear map of its input, by ridge least squares"),
    ]),
    needed: true,
    doc: "what is done to layers",
    label: Label::Bare,
};

const SCORE: Setting = Setting {
    name: "score",
    takes: Takes::Name(&[
        ("angular", "the n consecutive layers that turn the stream least (Gromov 2403.17887)"),
        ("influence", "the n layers that change the stream least (ShortGPT 2403.03853)"),
        ("last", "the last n before the final one"),
        ("random", "n at random: the control"),
    ]),
    needed: false,
    doc: "which layers are dropped",
    label: Label::Bare,
};

const COUNT: Setting = Setting {
    name: "n",
    takes: Takes::Count { least: 1, most: 1 << 20 },
    needed: false,
    doc: "layers dropped",
    label: Label::After("n="),
};

const LAYER: Setting = Setting {
    name: "layer",
    takes: Takes::Count { least: 0, most: 1 << 20 },
    needed: false,
    doc: "the layer replaced, counted from 0 in the model as it then is",
    label: Label::After("layer "),
};

const INPUTS: Setting = Setting {
    name: "inputs",
    takes: Takes::Name(&[
        ("cut", "what the layer gets and gives in the model as earlier steps left it"),
        ("dense", "what it gets and gives in the dense model"),
    ]),
    needed: false,
    doc: "on which inputs the linear map is fitted (`cut` unless said otherwise)",
    label: Label::After("inputs "),
};

/// Fewer layers, or plainer ones.
pub(super) const CUT: Kind = Kind {
    way: Way::Cut,
    name: "layers",
    part: "layers",
    doc: "whole layers, dropped or replaced by a linear map",
    settings: &[METHOD, SCORE, COUNT, LAYER, RANK, INPUTS],
    example: "cut=layers,method=drop,score=angular,n=3",
    check,
    needs,
    title: |_| "layers".to_owned(),
    phrase,
    leaves_zeros: never,
    fills_zeros: false,
};

fn check(step: &mut Step) -> Result<(), StepError> {
    let (needed, refused): (&[&str], &[&str]) = match step.name("method") {
        Some("drop") => (&["score", "n"], &["layer", "rank", "inputs"]),
        _ => (&["layer"], &["score", "n"]),
    };
    let method = step.name("method").unwrap_or_default().to_owned();
    if let Some(missing) = needed.iter().find(|name| step.value(name).is_none()) {
        return Err(step.wrong(format!("method `{method}` needs `{missing}`")));
    }
    if let Some(given) = refused.iter().find(|name| step.value(name).is_some()) {
        return Err(step.wrong(format!("method `{method}` takes no `{given}`")));
    }
    // What is meant where nothing is said has one spelling.
    if step.name("inputs") == Some("cut") {
        step.forget("inputs");
    }
    Ok(())
}

fn needs(step: &Step) -> Needs {
    match (step.name("method"), step.name("score")) {
        (Some("drop"), Some("last" | "random")) => Needs::Nothing,
        _ => Needs::Inputs,
    }
}

fn phrase(step: &Step) -> String {
    match (step.name("method"), step.name("score")) {
        (Some("drop"), Some(score)) => {
            let n = step.count("n").unwrap_or_default();
            let layers = if n == 1 { "layer" } else { "layers" };
            format!("with {n} {layers} dropped, chosen by `{score}`")
        }
        _ => {
            let layer = step.count("layer").unwrap_or_default();
            let rank = step.count("rank").map(|rank| format!(" of rank {rank}"));
            format!("with layer {layer} replaced by a linear map{}", rank.unwrap_or_default())
        }
    }
}

/// How linear layers are, and which directions of the stream carry variance and which matter.
pub(super) const OBSERVE: Kind = Kind {
    way: Way::Observe,
    name: "layers",
    part: "layers",
    doc: "what can be measured of layers: how linear they are, the directions of the stream, what could be predicted from it",
    settings: &[OBSERVATION, exit::THRESHOLD, exit::PATIENCE],
    example: "observe=layers,observation=linearity",
    check: check_observation,
    needs: |step| match step.name("observation") {
        Some("directions") => Needs::Gradient,
        Some("lens") => Needs::Nothing,
        _ => Needs::Inputs,
    },
    title: |_| "observe layers".to_owned(),
    phrase: |step| {
        let what = match step.name("observation") {
            Some("directions") => {
                "the variance and the sensitivity of each direction of the residual stream"
            }
            Some("lens") => "what each layer would predict if it were the last",
            _ => "how well a linear map stands for each layer",
        };
        let leaving = exit::condition(step).map(|condition| {
            format!(", and how many tokens would leave there, at the first layer {condition}")
        });
        format!("with nothing changed, to measure {what}{}", leaving.unwrap_or_default())
    },
    leaves_zeros: never,
    fills_zeros: false,
};

const OBSERVATION: Setting = Setting {
    name: "observation",
    takes: Takes::Name(&[
        ("linearity", "R² of a linear map fitted to each layer's update"),
        ("directions", "principal directions of the stream, their variance and sensitivity"),
        (
            "lens",
            "the argmax of final norm and head at each layer: from where on it no longer changes, how sure it is; with `threshold` or `patience` also the tokens that would leave there",
        ),
    ]),
    needed: true,
    doc: "what is measured",
    label: Label::Bare,
};

fn check_observation(step: &mut Step) -> Result<(), StepError> {
    let given = |name: &&str| step.value(name).is_some();
    let conditions: Vec<&str> = ["threshold", "patience"].into_iter().filter(given).collect();
    match (step.name("observation"), conditions.as_slice()) {
        (_, []) | (Some("lens"), [_]) => Ok(()),
        (Some("lens"), _) => {
            Err(step.wrong("a token leaves by `threshold` or by `patience`: give one"))
        }
        (other, [first, ..]) => {
            let other = other.unwrap_or_default();
            Err(step
                .wrong(format!("`{first}` belongs to the observation `lens`, not to `{other}`")))
        }
    }
}
