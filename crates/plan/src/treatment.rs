//! What is done to the model in one cell: part, policy, score, sparsity, window, rule, seed.

use serde::{Deserialize, Serialize};

use crate::{Mode, Needs, Observation, Part, Policy, Recalibration, Rule, Score, TreatmentError};

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
    /// What a dynamic or windowed set of state channels acts on.
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

/// A treatment as written, not yet checked; see [`Treatment`] for the fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of `Treatment`, documented there")]
pub struct TreatmentSpec {
    pub part: Part,
    pub policy: Policy,
    pub score: Option<Score>,
    pub sparsity: f64,
    pub window: Option<usize>,
    pub rule: Option<Rule>,
    pub prompt_tokens: Option<usize>,
    pub mode: Option<Mode>,
    pub recalibration: Option<Recalibration>,
    pub observation: Option<Observation>,
    pub sample: Option<usize>,
    pub seed: u64,
}

impl TreatmentSpec {
    /// A specification of `policy` with nothing else said: a base for struct update syntax.
    pub fn of(policy: Policy, seed: u64) -> Self {
        TreatmentSpec {
            part: Part::Ffn,
            policy,
            score: None,
            sparsity: 0.0,
            window: None,
            rule: None,
            prompt_tokens: None,
            mode: None,
            recalibration: None,
            observation: None,
            sample: None,
            seed,
        }
    }

    fn is_given(&self, field: &str) -> bool {
        match field {
            "score" => self.score.is_some(),
            "sparsity" => self.sparsity != 0.0,
            "window" => self.window.is_some(),
            "rule" => self.rule.is_some(),
            "mode" => self.mode.is_some(),
            "recalibration" => self.recalibration.is_some(),
            "observation" => self.observation.is_some(),
            _ => self.sample.is_some(),
        }
    }

    /// Refuses the first of `fields` that is given.
    fn takes_none_of(&self, fields: &[&'static str]) -> Result<(), TreatmentError> {
        let policy = self.policy;
        match fields.iter().find(|field| self.is_given(field)) {
            Some(&field) => Err(TreatmentError::NotTaken { policy, field }),
            None => Ok(()),
        }
    }

    fn needed<T>(&self, given: Option<T>, field: &'static str) -> Result<T, TreatmentError> {
        given.ok_or(TreatmentError::Needed { policy: self.policy, field })
    }

    fn check_sparsity(&self) -> Result<(), TreatmentError> {
        if !(0.0..1.0).contains(&self.sparsity) {
            return Err(TreatmentError::Sparsity(self.sparsity));
        }
        // JSON readers keep short decimals exactly and may miss long ones by one bit, which would
        // give the cell another id on the other side.
        if format!("{:.12}", self.sparsity).parse() != Ok(self.sparsity) {
            return Err(TreatmentError::SparsityDigits(self.sparsity));
        }
        Ok(())
    }

    /// The score of a policy that drops something, and what the part asks of it.
    fn check_score(&self) -> Result<Score, TreatmentError> {
        let score = self.needed(self.score, "score")?;
        if !score.ranks(self.part) {
            return Err(TreatmentError::ScoreOfOtherPart { score, part: self.part });
        }
        let before_the_run = self.policy == Policy::Static || self.rule == Some(Rule::Calibration);
        if score.needs() == Needs::Gradient && !before_the_run {
            return Err(TreatmentError::GradientAtRunTime(score));
        }
        Ok(score)
    }

    fn filled_prompt(&self) -> Result<Option<usize>, TreatmentError> {
        match (self.rule, self.prompt_tokens) {
            (Some(Rule::Prompt), Some(0)) => Err(TreatmentError::EmptyPrompt),
            (Some(Rule::Prompt), given) => Ok(Some(given.unwrap_or(DEFAULT_PROMPT_TOKENS))),
            (_, Some(_)) => Err(TreatmentError::PromptWithoutRule),
            (_, None) => Ok(None),
        }
    }

    /// `mode` of a set that changes over time: `read` unless said otherwise, of the state alone.
    fn filled_mode(&self) -> Result<Option<Mode>, TreatmentError> {
        let (part, policy) = (self.part, self.policy);
        match (part, self.mode) {
            (Part::State, mode) => Ok(Some(mode.unwrap_or(Mode::Read))),
            (Part::Ffn, Some(_)) => Err(TreatmentError::NotOfPart { part, policy, field: "mode" }),
            (Part::Ffn, None) => Ok(None),
        }
    }

    fn dense(self) -> Result<Self, TreatmentError> {
        self.takes_none_of(&["score", "sparsity", "window", "rule", "mode"])?;
        self.takes_none_of(&["recalibration", "observation", "sample"])?;
        Ok(Self { part: Part::Ffn, ..self })
    }

    fn fixed(self) -> Result<Self, TreatmentError> {
        self.takes_none_of(&["window", "rule", "mode", "observation", "sample"])?;
        let score = self.check_score()?;
        let (part, policy) = (self.part, self.policy);
        let recalibration = match (part, score.needs(), self.recalibration) {
            (Part::State, Needs::Nothing, _) => None,
            // A gradient through layers that are cut already is that of another model.
            (Part::State, Needs::Gradient, None | Some(Recalibration::OneShot)) => {
                Some(Recalibration::OneShot)
            }
            (Part::State, Needs::Forward, given) => {
                Some(given.unwrap_or(Recalibration::Sequential))
            }
            (_, _, None) => None,
            (_, _, Some(_)) => {
                return Err(TreatmentError::NotOfPart { part, policy, field: "recalibration" });
            }
        };
        Ok(Self { recalibration, ..self })
    }

    fn dynamic(self) -> Result<Self, TreatmentError> {
        self.takes_none_of(&["rule", "recalibration", "observation", "sample"])?;
        self.check_score()?;
        match self.window {
            None | Some(1) => Ok(Self { window: Some(1), mode: self.filled_mode()?, ..self }),
            Some(other) => Err(TreatmentError::DynamicWindow(other)),
        }
    }

    fn windowed(self) -> Result<Self, TreatmentError> {
        self.takes_none_of(&["recalibration", "observation", "sample"])?;
        if self.needed(self.window, "window")? == 0 {
            return Err(TreatmentError::EmptyWindow);
        }
        self.needed(self.rule, "rule")?;
        self.check_score()?;
        Ok(Self { mode: self.filled_mode()?, ..self })
    }

    fn observing(self) -> Result<Self, TreatmentError> {
        self.takes_none_of(&["rule", "mode", "recalibration"])?;
        let observation = self.needed(self.observation, "observation")?;
        let part = self.part;
        let wrong = |problem| Err(TreatmentError::Observation { observation, part, problem });
        let is_overlap = observation == Observation::Overlap;
        let is_ablation = observation == Observation::Ablation;
        if is_overlap && part == Part::State {
            return wrong("is not measured: only neurons have kept sets of a token");
        }
        if is_overlap && (self.score.is_none() || self.sparsity == 0.0) {
            return wrong("needs a score and a sparsity");
        }
        if is_overlap {
            self.check_score()?;
        } else if self.score.is_some() || self.sparsity != 0.0 {
            return wrong("takes no score and no sparsity");
        }
        if !is_ablation && self.sample.is_some() {
            return wrong("takes no sample");
        }
        if self.sample == Some(0) {
            return Err(TreatmentError::EmptySample);
        }
        if self.window == Some(0) {
            return Err(TreatmentError::EmptyWindow);
        }
        let drops_for_a_while = is_ablation && part == Part::State;
        if !drops_for_a_while && self.window.is_some() {
            return wrong("takes no window");
        }
        Ok(Self {
            sample: is_ablation.then(|| self.sample.unwrap_or(DEFAULT_SAMPLE)),
            window: drops_for_a_while.then(|| self.window.unwrap_or(DEFAULT_DROPPED_WINDOW)),
            ..self
        })
    }
}

impl Treatment {
    /// Checks a specification and fills what it leaves open.
    ///
    /// Filled: `window = 1` for `dynamic`, `prompt_tokens = 64` for the rule `prompt`; for the state
    /// `mode = read` and, for a static set by activations, `recalibration = sequential`; for an
    /// ablation `sample = 32`, of the state `window = 16`.
    ///
    /// # Errors
    /// [`TreatmentError`] says which field is missing, superfluous or out of range.
    pub fn new(spec: TreatmentSpec) -> Result<Treatment, TreatmentError> {
        spec.check_sparsity()?;
        let prompt_tokens = spec.filled_prompt()?;
        let spec = match spec.policy {
            Policy::Dense => spec.dense(),
            Policy::Static => spec.fixed(),
            Policy::Dynamic => spec.dynamic(),
            Policy::Window => spec.windowed(),
            Policy::Observe => spec.observing(),
        }?;
        let TreatmentSpec { part, policy, score, sparsity, window, rule, mode, .. } = spec;
        let TreatmentSpec { recalibration, observation, sample, seed, .. } = spec;
        // Adding zero turns -0.0 into 0.0, which would otherwise be a second name for the same κ.
        let sparsity = sparsity + 0.0;
        Ok(Treatment {
            part,
            policy,
            score,
            sparsity,
            window,
            rule,
            prompt_tokens,
            mode,
            recalibration,
            observation,
            sample,
            seed,
        })
    }

    /// The model as it is.
    pub fn dense(seed: u64) -> Treatment {
        Self::bare(Part::Ffn, Policy::Dense, seed)
    }

    /// The scores of a part that a forward pass or gradients give.
    pub(crate) fn scores(part: Part, observation: Observation, seed: u64) -> Treatment {
        Treatment { observation: Some(observation), ..Self::bare(part, Policy::Observe, seed) }
    }

    fn bare(part: Part, policy: Policy, seed: u64) -> Treatment {
        Treatment {
            part,
            policy,
            score: None,
            sparsity: 0.0,
            window: None,
            rule: None,
            prompt_tokens: None,
            mode: None,
            recalibration: None,
            observation: None,
            sample: None,
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
