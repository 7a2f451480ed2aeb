//! What a cell is, in the words of the specification.

use plan::{
    Cell, Mode, Observation, Part, Policy, Protocol, Recalibration, Rule, Score, shortest_decimal,
};

/// One field of a cell with its value and what that means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) meaning: &'static str,
}

/// One sentence that needs no other to be understood.
pub(crate) fn sentence(cell: &Cell) -> String {
    let Cell { model, dataset, limit, treatment, .. } = cell;
    let amount = |thing: &str| match limit {
        Some(1) => format!("the first {thing}"),
        Some(limit) => format!("the first {limit} {thing}s"),
        None => format!("every {thing}"),
    };
    let reads = match cell.protocol {
        Protocol::Perplexity { window_tokens } => format!(
            "`{model}` predicts every next token in {} of {window_tokens} tokens of the text \
             `{dataset}`",
            amount("window")
        ),
        Protocol::LambadaOpenai => {
            format!("`{model}` guesses the last word of {} of `{dataset}`", amount("item"))
        }
        Protocol::LambadaLastToken => {
            format!("`{model}` guesses the last token of {} of `{dataset}`", amount("item"))
        }
    };
    let what = match treatment.policy {
        Policy::Dense => {
            "with nothing dropped: the baseline of the cells that drop something".to_owned()
        }
        Policy::Observe => format!("with nothing dropped, to measure {}", observed(cell)),
        Policy::Static | Policy::Dynamic | Policy::Window => {
            format!("{}: {}", dropped(cell), when(cell))
        }
    };
    format!("{reads}, {what}.")
}

/// `with 90 % of the neurons of each feed-forward block dropped, those with the least `magnitude``
fn dropped(cell: &Cell) -> String {
    let units = match cell.treatment.part {
        Part::Ffn => "neurons of each feed-forward block",
        Part::State => "recurrent-state channels of each Mamba-2 layer",
    };
    let chosen = match cell.treatment.score {
        Some(Score::Random) => "chosen at random".to_owned(),
        Some(score) => format!("those with the least `{score}`"),
        None => "by no score".to_owned(),
    };
    format!("with {} of the {units} dropped, {chosen}", share(cell.treatment.sparsity))
}

/// `90 %`, without the digits that a product with 100 adds.
fn share(sparsity: f64) -> String {
    let percent = format!("{:.6}", 100.0 * sparsity);
    format!("{} %", percent.trim_end_matches('0').trim_end_matches('.'))
}

/// How long a kept set lasts and what it is chosen on.
fn when(cell: &Cell) -> String {
    let treatment = &cell.treatment;
    let tokens = treatment.window.unwrap_or(1);
    let mut text = match (treatment.policy, treatment.rule) {
        (Policy::Static, _) => "the rest is one kept set for the whole run".to_owned(),
        (Policy::Window, Some(Rule::Prompt)) => format!(
            "one kept set is chosen on the first {} tokens of each sequence and held",
            treatment.prompt_tokens.unwrap_or_default()
        ),
        (Policy::Window, Some(Rule::Calibration)) => {
            format!("every {tokens} tokens share a kept set, always the one of the static policy")
        }
        (Policy::Window, Some(rule)) => {
            let how = match rule {
                Rule::FirstToken => "by the scores of its first token",
                Rule::PreviousWindow => "by scores summed over the window before",
                Rule::Random => "at random",
                _ => "by scores summed over its own tokens, so it looks ahead",
            };
            format!("each commitment window of {tokens} tokens has one kept set, chosen {how}")
        }
        _ => "the kept set is chosen again for every token, from that token's scores".to_owned(),
    };
    if let Some(calibration) = &cell.calibration {
        let windows = match calibration.limit {
            Some(limit) => format!("{limit} windows"),
            None => "all windows".to_owned(),
        };
        let (tokens, dataset) = (calibration.window_tokens, &calibration.dataset);
        text += &format!(", chosen beforehand on {windows} of {tokens} tokens of `{dataset}`");
    }
    text
}

fn observed(cell: &Cell) -> String {
    let units = match cell.treatment.part {
        Part::Ffn => "neuron",
        Part::State => "state channel",
    };
    match cell.treatment.observation {
        Some(Observation::Gradient) => format!("what the loss's gradient says of every {units}"),
        Some(Observation::Ablation) => format!(
            "what dropping one {units} alone does to the loss, on {} of each site",
            cell.treatment.sample.unwrap_or_default()
        ),
        Some(Observation::Overlap) => {
            "how much of its kept set a token shares with the tokens before it".to_owned()
        }
        _ => format!("every score of every {units} that a forward pass gives"),
    }
}

/// The fields that a cell has, with their meanings.
pub(crate) fn fields(cell: &Cell) -> Vec<Field> {
    let treatment = &cell.treatment;
    let field = |name, value: String, meaning| Field { name, value, meaning };
    let all = |n: Option<usize>| n.map_or("all".to_owned(), |n| n.to_string());
    let mut fields = vec![
        field("model", cell.model.clone(), "the name of the model in the pipeline"),
        field("dataset", cell.dataset.clone(), "the name of the text in the pipeline"),
        field("protocol", cell.protocol.to_string(), protocol(cell.protocol)),
        field("limit", all(cell.limit), "windows or items evaluated, from the first"),
        field("policy", treatment.policy.to_string(), policy(treatment.policy)),
    ];
    if treatment.policy != Policy::Dense {
        fields.push(field("part", treatment.part.to_string(), part(treatment.part)));
    }
    if let Some(own) = treatment.score {
        fields.push(field("score", own.to_string(), score(own)));
        let sparsity = shortest_decimal(treatment.sparsity);
        fields.push(field(
            "sparsity",
            sparsity,
            "κ, the share dropped; max(1, round((1-κ)·F)) stay",
        ));
    }
    if let (Some(tokens), Policy::Window | Policy::Observe) = (treatment.window, treatment.policy) {
        let meaning = match treatment.policy {
            Policy::Window => "W, tokens of a sequence that share one kept set",
            _ => "tokens for which a channel is dropped at a time",
        };
        fields.push(field("window", tokens.to_string(), meaning));
    }
    fields.extend(treatment.rule.map(|own| field("rule", own.to_string(), rule(own))));
    if let Some(tokens) = treatment.prompt_tokens {
        fields.push(field(
            "prompt_tokens",
            tokens.to_string(),
            "P, tokens whose scores are summed",
        ));
    }
    fields.extend(treatment.mode.map(|own| field("mode", own.to_string(), mode(own))));
    let how = treatment.recalibration;
    fields.extend(how.map(|own| field("recalibration", own.to_string(), recalibration(own))));
    let what = treatment.observation;
    fields.extend(what.map(|own| field("observation", own.to_string(), observation(own))));
    if let Some(sample) = treatment.sample {
        let meaning = "neurons or channels of a site that are measured, drawn by the seed";
        fields.push(field("sample", sample.to_string(), meaning));
    }
    if let Some(calibration) = &cell.calibration {
        let (limit, tokens) = (all(calibration.limit), calibration.window_tokens);
        let value = format!("{} ({limit} windows of {tokens} tokens)", calibration.dataset);
        fields.push(field("calibration", value, "the text on which the kept set is chosen"));
    }
    fields.push(field("seed", treatment.seed.to_string(), "seed of everything random in it"));
    fields
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Perplexity { .. } => {
            "perplexity = exp(ΣNLL / Σtargets) over disjoint windows of T ids, the tail dropped"
        }
        Protocol::LambadaOpenai => {
            "right if every token of the last word is the first choice, given those before it"
        }
        Protocol::LambadaLastToken => "right if the last token is the first choice",
    }
}

fn policy(policy: Policy) -> &'static str {
    match policy {
        Policy::Dense => "nothing is dropped",
        Policy::Static => "one kept set for the whole run, chosen on calibration text",
        Policy::Dynamic => "the kept set is chosen again for every token; W = 1",
        Policy::Window => "the tokens of a commitment window share one kept set",
        Policy::Observe => "nothing is dropped; scores are measured and stored",
    }
}

fn part(part: Part) -> &'static str {
    match part {
        Part::Ffn => "scratch-work: neurons of feed-forward blocks, recomputed for every token",
        Part::State => "memory: channels of Mamba-2's state, carried from token to token",
    }
}

fn score(score: Score) -> &'static str {
    match score {
        Score::Magnitude => "Σ|h|, the size of the activation",
        Score::Weight => "‖w‖₂, the weights that leave the neuron",
        Score::Impact => "Σ|h|·‖w‖₂, the change of the block's output when it alone is dropped",
        Score::Energy => "Σh²",
        Score::Wanda => "‖h‖₂·‖w‖₁",
        Score::Taylor => "|Σg·h|, first order in the gradient g of the loss",
        Score::Fisher => "Σ(g·h)²",
        Score::Random => "seeded uniform: the control",
        Score::Reversed => "minus magnitude: the other control",
        Score::Ghost => "sqrt(mean ΣH²·C²): the output's error when the channel is not read",
        Score::GhostFactored => "mean(H²)·mean(C²), the earlier prototype of ghost",
        Score::StateWeight => "‖W_B‖₂·‖W_C‖₂, the size of the channel's weights",
        Score::StateTaylor => "|ΣC·g|, first order in the gradient of the loss",
    }
}

fn rule(rule: Rule) -> &'static str {
    match rule {
        Rule::WindowMean => "scores summed over the window's own tokens; looks ahead",
        Rule::FirstToken => "scores of the window's first token; causal",
        Rule::PreviousWindow => {
            "scores summed over the window before, in the first one of its first token; causal"
        }
        Rule::Prompt => "scores summed over the first P tokens, then held",
        Rule::Calibration => "the set of the static policy",
        Rule::Random => "a seeded random set per window: the control",
    }
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Read => "masks C: a skipped channel keeps its memory",
        Mode::Write => "masks B and C: what is not written stays missing",
    }
}

fn recalibration(how: Recalibration) -> &'static str {
    match how {
        Recalibration::Sequential => {
            "a layer is scored on activations that passed the cut layers below"
        }
        Recalibration::OneShot => "all layers are scored on activations of the dense model",
    }
}

fn observation(what: Observation) -> &'static str {
    match what {
        Observation::Forward => "every score that a forward pass gives",
        Observation::Gradient => "the scores that need gradients of the loss",
        Observation::Ablation => "the rise of the loss when one neuron or channel alone is dropped",
        Observation::Overlap => "how fast the per-token kept sets change, by lag",
    }
}
