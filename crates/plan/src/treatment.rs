//! What is done to the model in one cell: part, policy, score, sparsity, window, rule, seed.

use serde::{Deserialize, Serialize};

use crate::{
    Mode, Needs, Observation, Part, Policy, Recalibration, Rule, Score, TreatmentError,
    TreatmentSpec,
};

/// Tokens whose scores the rule `prompt` sums when nothing else is said.
pub const DEFAULT_PROMPT_TOKENS: usize = 64;

/// Neurons or channels of a site that an ablation measures when nothing else is said.
pub const DEFAULT_SAMPLE: usize = 32;

/// Tokens for which an ablation drops a state channel at a time when nothing else is said.
pub const DEFAULT_DROPPED_WINDOW: usize = 16;

/// What is done to the model, checked: only combinations that mean something can be built.
///
/// Built by [`Treatment::new`]; the fields are public to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "TreatmentSpec")]
#[non_exhaustive]
pub struct Treatment {
    /// What is pruned or observed.
    pub part: Part,
    /// How the kept set changes over time.
    pub policy: Policy,
    /// What ranks the neurons or channels; none when dense.
    pub score: Option<Score>,
    /// Requested share of neurons or channels dropped, κ, `0 ≤ κ < 1`; 0 when dense.
    pub sparsity: f64,
    /// Tokens that share one kept set; 1 when dynamic, none when dense or static. For an ablation of
    /// the state: tokens for which a channel is dropped at a time.
    pub window: Option<usize>,
    /// How a window's set is chosen; only for the policy `window`.
    pub rule: Option<Rule>,
    /// Tokens whose scores the rule `prompt` sums; only for that rule.
    pub prompt_tokens: Option<usize>,
    /// The first positions of a cache, which come before every score.
    pub sinks: Option<usize>,
    /// What a dynamic or windowed set of state channels or cached positions acts on.
    pub mode: Option<Mode>,
    /// The activations that a static set of state channels is chosen on; none where the score looks
    /// at none.
    pub recalibration: Option<Recalibration>,
    /// What is measured; only for the policy `observe`.
    pub observation: Option<Observation>,
    /// Neurons or channels of a site that an ablation measures.
    pub sample: Option<usize>,
    /// Seed of everything random in the cell.
    pub seed: u64,
}

// κ is never NaN (checked by `new`), so equality is total.
impl Eq for Treatment {}

impl Treatment {
    /// Checks a specification and fills what it leaves open.
    ///
    /// Filled: `window = 1` for `dynamic`, `prompt_tokens = 64` for the rule `prompt`; for the state
    /// `mode = read` and, for a set chosen before the run by activations, `recalibration = sequential`
    /// (by gradients `one-shot`); for an ablation `sample = 32`, of the state `window = 16`.
    ///
    /// # Errors
    /// [`TreatmentError`] says which field is missing, superfluous or out of range.
    pub fn new(spec: TreatmentSpec) -> Result<Treatment, TreatmentError> {
        spec.check_sparsity()?;
        let prompt_tokens = spec.filled_prompt()?;
        spec.check_cache()?;
        let spec = match spec.policy {
            Policy::Dense => spec.dense(),
            Policy::Static => spec.fixed(),
            Policy::Dynamic => spec.dynamic(),
            Policy::Window => spec.windowed(),
            Policy::Observe => spec.observing(),
        }?;
        // Adding zero turns -0.0 into 0.0, which would otherwise be a second name for the same κ.
        Ok(Self::of(TreatmentSpec { prompt_tokens, sparsity: spec.sparsity + 0.0, ..spec }))
    }

    /// The model as it is.
    pub fn dense(seed: u64) -> Treatment {
        Self::of(TreatmentSpec::of(Policy::Dense, seed))
    }

    /// The scores of a part that a forward pass or gradients give.
    pub(crate) fn scores(part: Part, observation: Observation, seed: u64) -> Treatment {
        let observation = Some(observation);
        Self::of(TreatmentSpec { part, observation, ..TreatmentSpec::of(Policy::Observe, seed) })
    }

    /// The same fields, which must have been checked.
    fn of(spec: TreatmentSpec) -> Treatment {
        let TreatmentSpec { part, policy, score, sparsity, window, rule, prompt_tokens, .. } = spec;
        let TreatmentSpec { sinks, mode, recalibration, observation, sample, seed, .. } = spec;
        Treatment {
            part,
            policy,
            score,
            sparsity,
            window,
            rule,
            prompt_tokens,
            sinks,
            mode,
            recalibration,
            observation,
            sample,
            seed,
        }
    }

    /// Whether the kept sets are chosen on calibration text before the run.
    ///
    /// True for `static` and for the rule `calibration`, unless the score looks at no text
    /// (`weight`, `state-weight`, `random`).
    pub fn needs_calibration(&self) -> bool {
        let chosen_before = self.policy == Policy::Static || self.rule == Some(Rule::Calibration);
        chosen_before && self.score.is_some_and(|score| score.needs() != Needs::Nothing)
    }

    /// Whether anything may be dropped.
    pub fn prunes(&self) -> bool {
        !matches!(self.policy, Policy::Dense | Policy::Observe)
    }
}

impl TryFrom<TreatmentSpec> for Treatment {
    type Error = TreatmentError;

    fn try_from(spec: TreatmentSpec) -> Result<Self, TreatmentError> {
        Treatment::new(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window_spec() -> TreatmentSpec {
        TreatmentSpec {
            score: Some(Score::Magnitude),
            sparsity: 0.9,
            window: Some(64),
            rule: Some(Rule::WindowMean),
            ..TreatmentSpec::of(Policy::Window, 1)
        }
    }

    #[test]
    fn meaningless_combinations_are_refused() {
        use TreatmentError::*;
        let dense = TreatmentSpec::of(Policy::Dense, 1);
        let refused = |spec: TreatmentSpec| Treatment::new(spec).unwrap_err();
        assert_eq!(
            refused(TreatmentSpec { sparsity: 0.5, ..dense.clone() }),
            NotTaken { policy: Policy::Dense, field: "sparsity" }
        );
        assert_eq!(
            refused(TreatmentSpec { score: Some(Score::Weight), ..dense.clone() }),
            NotTaken { policy: Policy::Dense, field: "score" }
        );
        assert_eq!(
            refused(TreatmentSpec::of(Policy::Static, 1)),
            Needed { policy: Policy::Static, field: "score" }
        );
        let windowed = window_spec();
        assert_eq!(refused(TreatmentSpec { sparsity: 1.0, ..windowed.clone() }), Sparsity(1.0));
        let third = TreatmentSpec { sparsity: 1.0 / 3.0, ..windowed.clone() };
        assert_eq!(refused(third), SparsityDigits(1.0 / 3.0));
        assert!(Treatment::new(TreatmentSpec { sparsity: f64::NAN, ..windowed.clone() }).is_err());
        assert_eq!(refused(TreatmentSpec { window: Some(0), ..windowed.clone() }), EmptyWindow);
        assert_eq!(
            refused(TreatmentSpec { rule: None, ..windowed.clone() }),
            Needed { policy: Policy::Window, field: "rule" }
        );
        assert_eq!(
            refused(TreatmentSpec { prompt_tokens: Some(3), ..windowed.clone() }),
            PromptWithoutRule
        );
        assert_eq!(
            refused(TreatmentSpec { policy: Policy::Dynamic, rule: None, ..windowed }),
            DynamicWindow(64)
        );
    }

    #[test]
    fn open_fields_are_filled() {
        let dynamic = TreatmentSpec {
            score: Some(Score::Magnitude),
            sparsity: 0.5,
            ..TreatmentSpec::of(Policy::Dynamic, 1)
        };
        assert_eq!(Treatment::new(dynamic).unwrap().window, Some(1));
        let prompt = TreatmentSpec { rule: Some(Rule::Prompt), ..window_spec() };
        assert_eq!(Treatment::new(prompt).unwrap().prompt_tokens, Some(DEFAULT_PROMPT_TOKENS));
        let minus_zero = TreatmentSpec { sparsity: -0.0, ..window_spec() };
        assert!(Treatment::new(minus_zero).unwrap().sparsity.is_sign_positive());
    }

    #[test]
    fn calibration_is_needed_where_text_chooses_the_set() {
        let with = |policy, score, rule, window| {
            let spec = TreatmentSpec {
                score: Some(score),
                sparsity: 0.5,
                rule,
                window,
                ..TreatmentSpec::of(policy, 1)
            };
            Treatment::new(spec).unwrap().needs_calibration()
        };
        assert!(with(Policy::Static, Score::Magnitude, None, None));
        assert!(with(Policy::Static, Score::Reversed, None, None));
        assert!(!with(Policy::Static, Score::Weight, None, None));
        assert!(!with(Policy::Static, Score::Random, None, None));
        assert!(!with(Policy::Dynamic, Score::Magnitude, None, None));
        assert!(with(Policy::Window, Score::Magnitude, Some(Rule::Calibration), Some(4)));
        assert!(!with(Policy::Window, Score::Magnitude, Some(Rule::WindowMean), Some(4)));
        assert!(!Treatment::dense(1).needs_calibration());
    }

    fn state(policy: Policy, score: Score) -> TreatmentSpec {
        let (part, score) = (Part::State, Some(score));
        TreatmentSpec { part, score, sparsity: 0.5, ..TreatmentSpec::of(policy, 1) }
    }

    #[test]
    fn the_state_has_scores_modes_and_recalibration_of_its_own() {
        use TreatmentError::*;
        let fixed = |score| Treatment::new(state(Policy::Static, score)).unwrap().recalibration;
        assert_eq!(fixed(Score::Ghost), Some(Recalibration::Sequential));
        assert_eq!(fixed(Score::StateTaylor), Some(Recalibration::OneShot));
        assert_eq!(fixed(Score::StateWeight), None);
        let dynamic = state(Policy::Dynamic, Score::Ghost);
        assert_eq!(Treatment::new(dynamic.clone()).unwrap().mode, Some(Mode::Read));
        let write = TreatmentSpec { mode: Some(Mode::Write), ..dynamic.clone() };
        assert_eq!(Treatment::new(write.clone()).unwrap().mode, Some(Mode::Write));
        let refused = |spec: TreatmentSpec| Treatment::new(spec).unwrap_err();
        let ffn = TreatmentSpec { part: Part::Ffn, score: Some(Score::Impact), ..write };
        let (part, policy) = (Part::Ffn, Policy::Dynamic);
        assert_eq!(refused(ffn), NotOfPart { part, policy, field: "mode" });
        let (part, score) = (Part::State, Score::Magnitude);
        let wrong = TreatmentSpec { score: Some(score), ..dynamic };
        assert_eq!(refused(wrong), ScoreOfOtherPart { score, part });
        let sequential = Some(Recalibration::Sequential);
        let taylor = state(Policy::Static, Score::StateTaylor);
        let layered = TreatmentSpec { recalibration: sequential, ..taylor };
        assert_eq!(refused(layered), GradientOfOneLayer(Score::StateTaylor));
        // `calibration` is the static set, so it is chosen in the same way.
        let held = TreatmentSpec { window: Some(4), ..state(Policy::Window, Score::Ghost) };
        let calibrated = TreatmentSpec { rule: Some(Rule::Calibration), ..held.clone() };
        assert_eq!(Treatment::new(calibrated).unwrap().recalibration, sequential);
        let rule = Some(Rule::WindowMean);
        assert_eq!(
            Treatment::new(TreatmentSpec { rule, ..held.clone() }).unwrap().recalibration,
            None
        );
        let pointless = TreatmentSpec { rule, recalibration: sequential, ..held };
        assert_eq!(refused(pointless), RecalibrationWithoutRule);
        let late = state(Policy::Dynamic, Score::StateTaylor);
        assert_eq!(refused(late), GradientAtRunTime(Score::StateTaylor));
    }

    #[test]
    fn observations_take_what_they_use() {
        let observe = |part, observation| TreatmentSpec {
            part,
            observation: Some(observation),
            ..TreatmentSpec::of(Policy::Observe, 1)
        };
        let new = |spec: TreatmentSpec| Treatment::new(spec);
        assert!(new(TreatmentSpec::of(Policy::Observe, 1)).is_err(), "what?");
        assert!(new(observe(Part::Ffn, Observation::Forward)).is_ok());
        let ablation = new(observe(Part::State, Observation::Ablation)).unwrap();
        assert_eq!((ablation.sample, ablation.window), (Some(32), Some(16)));
        let ablation = new(observe(Part::Ffn, Observation::Ablation)).unwrap();
        assert_eq!((ablation.sample, ablation.window), (Some(32), None));
        let overlap = observe(Part::Ffn, Observation::Overlap);
        assert!(new(overlap.clone()).is_err(), "of which sets?");
        let (score, sparsity) = (Some(Score::Magnitude), 0.9);
        assert!(new(TreatmentSpec { score, sparsity, ..overlap }).is_ok());
        let forward = observe(Part::Ffn, Observation::Forward);
        assert!(new(TreatmentSpec { score, sparsity, ..forward }).is_err());
        assert!(new(observe(Part::State, Observation::Overlap)).is_err());
    }

    #[test]
    fn deserialising_checks_too() {
        let json = serde_json::to_string(&Treatment::new(window_spec()).unwrap()).unwrap();
        assert_eq!(
            serde_json::from_str::<Treatment>(&json).unwrap(),
            Treatment::new(window_spec()).unwrap()
        );
        let bad = json.replace("\"window\":64", "\"window\":0");
        assert!(
            serde_json::from_str::<Treatment>(&bad).unwrap_err().to_string().contains("window")
        );
    }
}
