//! A treatment as it is written, and what each policy takes, needs and fills.

use serde::{Deserialize, Serialize};

use crate::{
    DEFAULT_DROPPED_WINDOW, DEFAULT_PROMPT_TOKENS, DEFAULT_SAMPLE, Mode, Needs, Observation, Part,
    Policy, Recalibration, Rule, Score, TreatmentError,
};

/// A treatment as written, not yet checked; see [`crate::Treatment`] for the fields.
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sinks: Option<usize>,
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
            sinks: None,
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

    pub(crate) fn check_sparsity(&self) -> Result<(), TreatmentError> {
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

    pub(crate) fn filled_prompt(&self) -> Result<Option<usize>, TreatmentError> {
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
            (Part::State | Part::Kv, mode) => Ok(Some(mode.unwrap_or(Mode::Read))),
            (Part::Ffn | Part::Heads, Some(_)) => {
                Err(TreatmentError::NotOfPart { part, policy, field: "mode" })
            }
            (Part::Ffn | Part::Heads, None) => Ok(None),
        }
    }

    /// What a cache takes: a read has the rules of a window that was just seen, an eviction looks at what
    /// came before or at a prompt; sinks are of a cache alone.
    pub(crate) fn check_cache(&self) -> Result<(), TreatmentError> {
        let (part, policy) = (self.part, self.policy);
        let refused = |field| Err(TreatmentError::NotOfPart { part, policy, field });
        if part != Part::Kv {
            return if self.sinks.is_some() { refused("sinks") } else { Ok(()) };
        }
        let (is_eviction, rule) = (self.mode == Some(Mode::Write), self.rule);
        let of_prompt = rule == Some(Rule::Prompt);
        let is_known = match (is_eviction, rule) {
            (true, Some(rule)) => matches!(rule, Rule::PreviousWindow | Rule::Prompt),
            (false, Some(rule)) => !matches!(rule, Rule::Prompt | Rule::Calibration),
            (_, None) => true,
        };
        let is_sum = self.score == Some(Score::Accumulated);
        match () {
            () if policy == Policy::Static => refused("policy"),
            () if !is_known => refused("rule"),
            // One token at a time is what an eviction without a window is.
            () if is_eviction && rule.is_some() && self.window == Some(1) && !of_prompt => {
                refused("window")
            }
            () if of_prompt && self.prompt_tokens != self.window => refused("window"),
            () if of_prompt && is_sum => refused("score"),
            () => Ok(()),
        }
    }

    pub(crate) fn dense(self) -> Result<Self, TreatmentError> {
        self.takes_none_of(&["score", "sparsity", "window", "rule", "mode"])?;
        self.takes_none_of(&["recalibration", "observation", "sample"])?;
        Ok(Self { part: Part::Ffn, ..self })
    }

    /// `recalibration` of a set that is chosen before the run: `sequential` unless said otherwise or not
    /// possible, of the state alone.
    fn filled_recalibration(&self, score: Score) -> Result<Option<Recalibration>, TreatmentError> {
        let (part, policy) = (self.part, self.policy);
        match (part, score.needs(), self.recalibration) {
            (Part::State, Needs::Nothing, _) | (Part::Ffn | Part::Heads | Part::Kv, _, None) => {
                Ok(None)
            }
            (Part::Ffn | Part::Heads | Part::Kv, _, Some(_)) => {
                Err(TreatmentError::NotOfPart { part, policy, field: "recalibration" })
            }
            (Part::State, Needs::Forward | Needs::Inputs, given) => {
                Ok(Some(given.unwrap_or(Recalibration::Sequential)))
            }
            (Part::State, Needs::Gradient, Some(Recalibration::Sequential)) => {
                Err(TreatmentError::GradientOfOneLayer(score))
            }
            (Part::State, Needs::Gradient, _) => Ok(Some(Recalibration::OneShot)),
        }
    }

    pub(crate) fn fixed(self) -> Result<Self, TreatmentError> {
        self.takes_none_of(&["window", "rule", "mode", "observation", "sample"])?;
        let score = self.check_score()?;
        Ok(Self { recalibration: self.filled_recalibration(score)?, ..self })
    }

    pub(crate) fn dynamic(self) -> Result<Self, TreatmentError> {
        self.takes_none_of(&["rule", "recalibration", "observation", "sample"])?;
        self.check_score()?;
        match self.window {
            None | Some(1) => Ok(Self { window: Some(1), mode: self.filled_mode()?, ..self }),
            Some(other) => Err(TreatmentError::DynamicWindow(other)),
        }
    }

    pub(crate) fn windowed(self) -> Result<Self, TreatmentError> {
        self.takes_none_of(&["observation", "sample"])?;
        if self.needed(self.window, "window")? == 0 {
            return Err(TreatmentError::EmptyWindow);
        }
        let rule = self.needed(self.rule, "rule")?;
        let score = self.check_score()?;
        let recalibration = match rule {
            Rule::Calibration => self.filled_recalibration(score)?,
            _ if self.recalibration.is_some() => {
                return Err(TreatmentError::RecalibrationWithoutRule);
            }
            _ => None,
        };
        Ok(Self { mode: self.filled_mode()?, recalibration, ..self })
    }

    pub(crate) fn observing(self) -> Result<Self, TreatmentError> {
        self.takes_none_of(&["rule", "mode", "recalibration"])?;
        let observation = self.needed(self.observation, "observation")?;
        let part = self.part;
        let wrong = |problem| Err(TreatmentError::Observation { observation, part, problem });
        let is_overlap = observation == Observation::Overlap;
        let is_ablation = observation == Observation::Ablation;
        if matches!(part, Part::Heads | Part::Kv) {
            return wrong("is not measured: it is of parts `ffn` and `state`");
        }
        if is_overlap && part == Part::State {
            return wrong("is not measured: it is of part `ffn` only");
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
