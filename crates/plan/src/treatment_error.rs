//! Why a treatment means nothing.

use crate::{Observation, Part, Policy, Score};

/// Why a combination means nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TreatmentError {
    /// A required field is absent.
    #[error("policy `{policy}` needs {} {field}", article(field))]
    Needed {
        /// The policy that needs it.
        policy: Policy,
        /// The name of the absent field.
        field: &'static str,
    },
    /// A field is given that has no meaning here.
    #[error("policy `{policy}` takes no {field}")]
    NotTaken {
        /// The policy that does not take it.
        policy: Policy,
        /// The name of the field.
        field: &'static str,
    },
    /// A field is given that has no meaning for the part.
    #[error("part `{part}` with policy `{policy}` takes no {field}")]
    NotOfPart {
        /// The part.
        part: Part,
        /// The policy.
        policy: Policy,
        /// The name of the field.
        field: &'static str,
    },
    /// A field is given that has no meaning for the observation, or one is missing.
    #[error("observation `{observation}` of part `{part}` {problem}")]
    Observation {
        /// The observation.
        observation: Observation,
        /// The part.
        part: Part,
        /// What is wrong.
        problem: &'static str,
    },
    /// A score that ranks something else.
    #[error("score `{score}` does not rank what part `{part}` is made of")]
    ScoreOfOtherPart {
        /// The score.
        score: Score,
        /// The part.
        part: Part,
    },
    /// A gradient where there is no loss to take it of.
    #[error(
        "score `{0}` needs gradients, which only calibration text gives: use it with policy `static` \
         or rule `calibration`"
    )]
    GradientAtRunTime(Score),
    /// A gradient through layers that are cut already is that of another model.
    #[error(
        "score `{0}` cannot be recalibrated sequentially, since a layer alone has no loss: use \
         recalibration `one-shot`"
    )]
    GradientOfOneLayer(Score),
    /// Recalibration given to a rule that chooses from the run's own tokens.
    #[error("recalibration belongs to policy `static` and to the rule `calibration` only")]
    RecalibrationWithoutRule,
    /// κ outside its range.
    #[error("sparsity {0} is outside 0 <= sparsity < 1")]
    Sparsity(f64),
    /// κ with more digits than every JSON reader keeps.
    #[error("sparsity {0} has more than 12 decimals: write it shorter")]
    SparsityDigits(f64),
    /// A window of no tokens.
    #[error("window 0 holds no token: the smallest window is 1")]
    EmptyWindow,
    /// A dynamic treatment with another window.
    #[error("policy `dynamic` is a window of 1 token, not {0}: use policy `window`")]
    DynamicWindow(usize),
    /// A prompt of no tokens.
    #[error("prompt_tokens 0 holds no token: the smallest prompt is 1")]
    EmptyPrompt,
    /// Prompt length given to a rule that has none.
    #[error("prompt_tokens belongs to the rule `prompt` only")]
    PromptWithoutRule,
    /// A sample of nothing.
    #[error("sample 0 measures nothing: the smallest sample is 1")]
    EmptySample,
}

/// The article of a field's name.
fn article(field: &str) -> &'static str {
    if field.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}
