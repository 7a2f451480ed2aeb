//! From the names of a plan to what runs.

use anyhow::{Context as _, anyhow, ensure};
use importance::{Calibration, Score, StateScore, by_name, by_state_name};
use models::Model;
use plan::{Mode, Part, Policy, Rule, Treatment};
use pruning::{
    Commitment, Selection, StateMode, StateSelection, StateWindowed, Windowed,
    recalibrated_state_sets, state_sets, static_sets,
};

use crate::stop::Stop;

/// What a treatment keeps, of which part.
pub(crate) enum Chosen {
    /// Neurons of feed-forward blocks.
    Neurons(Selection),
    /// Channels of recurrent states.
    Channels(StateSelection),
}

/// What kept sets rest on that are chosen before the run.
#[derive(Clone, Copy)]
pub(crate) enum Grounds<'a> {
    /// No text: the weights, or chance; or nothing is chosen before the run.
    Nothing,
    /// The scores of a calibration text.
    Scores(&'a Calibration),
    /// Sets that were found layer by layer, see [`recalibrated`].
    Sets(&'a [Vec<u32>]),
}

/// The kept sets that a treatment asks for.
pub(crate) fn chosen(
    treatment: &Treatment,
    model: &dyn Model,
    grounds: Grounds<'_>,
) -> anyhow::Result<Chosen> {
    if treatment.policy == Policy::Dense {
        return Ok(Chosen::Neurons(Selection::All));
    }
    let commitment = commitment(treatment)?;
    let sets = match commitment {
        None => sets(treatment, model, grounds)?,
        Some(Commitment { rule: pruning::Rule::Calibration, .. }) => {
            sets(treatment, model, grounds)?
        }
        Some(_) => Vec::new(),
    };
    let (sparsity, seed) = (treatment.sparsity, treatment.seed);
    Ok(match (treatment.part, commitment) {
        (Part::Ffn, None) => Chosen::Neurons(Selection::Static(sets)),
        (Part::State, None) => Chosen::Channels(StateSelection::Static(sets)),
        (Part::Ffn, Some(commitment)) => Chosen::Neurons(Selection::Windowed(Windowed {
            score: score(treatment)?,
            sparsity,
            commitment,
            seed,
            calibrated: sets,
        })),
        (Part::State, Some(commitment)) => {
            Chosen::Channels(StateSelection::Windowed(StateWindowed {
                score: state_score(treatment)?,
                sparsity,
                commitment,
                seed,
                calibrated: sets,
                mode: match treatment.mode {
                    Some(Mode::Write) => StateMode::Write,
                    _ => StateMode::Read,
                },
            }))
        }
    })
}

/// Which tokens share a set; none where one set is for ever.
fn commitment(treatment: &Treatment) -> anyhow::Result<Option<Commitment>> {
    match treatment.policy {
        Policy::Static => return Ok(None),
        Policy::Dynamic => return Ok(Some(Commitment::DYNAMIC)),
        Policy::Window => {}
        Policy::Dense | Policy::Observe => anyhow::bail!("`{}` keeps no sets", treatment.policy),
    }
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
    Ok(Some(Commitment { window, rule }))
}

fn score(treatment: &Treatment) -> anyhow::Result<Box<dyn Score>> {
    let name = treatment.score.context("the treatment has no score")?.as_str();
    by_name(name).ok_or_else(|| anyhow!("score `{name}` does not rank neurons"))
}

fn state_score(treatment: &Treatment) -> anyhow::Result<Box<dyn StateScore>> {
    let name = treatment.score.context("the treatment has no score")?.as_str();
    by_state_name(name).ok_or_else(|| anyhow!("score `{name}` does not rank state channels"))
}

/// The static kept set of every site.
pub(crate) fn sets(
    treatment: &Treatment,
    model: &dyn Model,
    grounds: Grounds<'_>,
) -> anyhow::Result<Vec<Vec<u32>>> {
    let (sparsity, seed) = (treatment.sparsity, treatment.seed);
    let none = Calibration::of_no_text(model);
    let scores = match grounds {
        Grounds::Sets(sets) => return Ok(sets.to_vec()),
        Grounds::Scores(scores) => scores,
        Grounds::Nothing => {
            ensure!(!treatment.needs_calibration(), "the score needs a calibration text");
            &none
        }
    };
    Ok(match treatment.part {
        Part::Ffn => static_sets(model, scores, score(treatment)?.as_ref(), sparsity, seed),
        Part::State => state_sets(model, scores, state_score(treatment)?.as_ref(), sparsity, seed),
    })
}

/// The static sets of a state by sequential recalibration on the windows of a text; `None` if asked to stop
/// on the way.
pub(crate) fn recalibrated(
    treatment: &Treatment,
    model: &dyn Model,
    windows: &[Vec<u32>],
    stop: &Stop,
) -> anyhow::Result<Option<Vec<Vec<u32>>>> {
    let (score, sparsity, seed) = (state_score(treatment)?, treatment.sparsity, treatment.seed);
    let stop = || stop.asked();
    Ok(recalibrated_state_sets(model, windows, score.as_ref(), sparsity, seed, stop)?)
}

#[cfg(test)]
mod tests {
    use plan::{Needs, Part, Score};

    /// Every score of the vocabulary is implemented, and needs what the plan thinks that it needs.
    #[test]
    fn vocabulary_is_covered() {
        let names = |part| -> Vec<&str> {
            let of_part = Score::ALL.iter().filter(|score| score.ranks(part));
            of_part.map(|score| score.as_str()).collect()
        };
        let sorted = |mut names: Vec<&'static str>| {
            names.sort_unstable();
            names
        };
        assert_eq!(sorted(names(Part::Ffn)), sorted(importance::NAMES.to_vec()));
        assert_eq!(sorted(names(Part::State)), sorted(importance::STATE_NAMES.to_vec()));
        let needs = |text, gradients| match (text, gradients) {
            (_, true) => Needs::Gradient,
            (true, false) => Needs::Forward,
            (false, false) => Needs::Nothing,
        };
        for score in Score::ALL.iter().filter(|score| score.ranks(Part::Ffn)) {
            let known = importance::by_name(score.as_str()).unwrap();
            assert_eq!(needs(known.needs_text(), known.needs_gradient()), score.needs(), "{score}");
        }
        for score in Score::ALL.iter().filter(|score| score.ranks(Part::State)) {
            let known = importance::by_state_name(score.as_str()).unwrap();
            let found = needs(known.needs_text(), known.needs_gradients());
            assert_eq!(found, score.needs(), "{score}");
        }
    }
}
