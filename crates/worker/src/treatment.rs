//! From the names of a plan to what runs.

use anyhow::{Context as _, anyhow};
use importance::{Calibration, Score, by_name};
use models::Model;
use plan::{Policy, Rule, Treatment};
use pruning::{Commitment, Selection, Windowed, static_sets};

/// The kept sets that a treatment asks for.
///
/// `calibration` is needed where [`Treatment::needs_calibration`] says so.
pub(crate) fn selection(
    treatment: &Treatment,
    model: &dyn Model,
    calibration: Option<&Calibration>,
) -> anyhow::Result<Selection> {
    if treatment.policy != Policy::Dense && model.ffns().is_empty() {
        anyhow::bail!("the model has no feed-forward block: only `dense` can be run on it");
    }
    match treatment.policy {
        Policy::Dense | Policy::Observe => Ok(Selection::All),
        Policy::Static => Ok(Selection::Static(sets(treatment, model, calibration)?)),
        Policy::Dynamic => windowed(treatment, model, Commitment::DYNAMIC, calibration),
        Policy::Window => {
            let window = treatment.window.context("a windowed treatment has no window")?;
            let rule = match treatment.rule.context("a windowed treatment has no rule")? {
                Rule::WindowMean => pruning::Rule::WindowMean,
                Rule::FirstToken => pruning::Rule::FirstToken,
                Rule::PreviousWindow => pruning::Rule::PreviousWindow,
                Rule::Prompt => pruning::Rule::Prompt {
                    tokens: treatment.prompt_tokens.unwrap_or(plan::DEFAULT_PROMPT_TOKENS),
                },
                Rule::Calibration => pruning::Rule::Calibration,
                Rule::Random => pruning::Rule::Random,
            };
            windowed(treatment, model, Commitment { window, rule }, calibration)
        }
    }
}

fn windowed(
    treatment: &Treatment,
    model: &dyn Model,
    commitment: Commitment,
    calibration: Option<&Calibration>,
) -> anyhow::Result<Selection> {
    let calibrated = match commitment.rule {
        pruning::Rule::Calibration => sets(treatment, model, calibration)?,
        _ => Vec::new(),
    };
    Ok(Selection::Windowed(Windowed {
        score: score(treatment)?,
        sparsity: treatment.sparsity,
        commitment,
        seed: treatment.seed,
        calibrated,
    }))
}

fn score(treatment: &Treatment) -> anyhow::Result<Box<dyn Score>> {
    let name = treatment.score.context("the treatment has no score")?.as_str();
    by_name(name).ok_or_else(|| anyhow!("score `{name}` is not implemented"))
}

/// The static kept set of every site.
pub(crate) fn sets(
    treatment: &Treatment,
    model: &dyn Model,
    calibration: Option<&Calibration>,
) -> anyhow::Result<Vec<Vec<u32>>> {
    let score = score(treatment)?;
    let none = || Calibration::without_text(model.ffns().into_iter().map(|ffn| ffn.neurons()));
    let calibration = match (calibration, score.needs_text()) {
        (Some(calibration), _) => calibration,
        (None, false) => &none(),
        (None, true) => anyhow::bail!("score `{}` needs a calibration text", score.name()),
    };
    Ok(static_sets(model, calibration, score.as_ref(), treatment.sparsity, treatment.seed))
}

#[cfg(test)]
mod tests {
    /// Every score of the vocabulary is implemented.
    #[test]
    fn vocabulary_is_covered() {
        let names: Vec<&str> = plan::Score::ALL.iter().map(|score| score.as_str()).collect();
        assert_eq!(names, importance::NAMES);
    }
}
