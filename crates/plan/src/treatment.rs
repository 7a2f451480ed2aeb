//! What is done to the model in one cell: policy, score, sparsity, window, rule, seed.

use serde::{Deserialize, Serialize};

use crate::{Part, Policy, Rule, Score};

/// Tokens whose scores the rule `prompt` sums when nothing else is said.
pub const DEFAULT_PROMPT_TOKENS: usize = 64;

/// What is done to the model, checked: only combinations that mean something can be built.
///
/// Built by [`Treatment::new`]; the fields are public to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "TreatmentSpec")]
#[non_exhaustive]
pub struct Treatment {
    /// What is pruned.
    pub part: Part,
    /// How the kept set changes over time.
    pub policy: Policy,
    /// What ranks the neurons; none when dense.
    pub score: Option<Score>,
    /// Requested share of neurons dropped, κ, `0 ≤ κ < 1`; 0 when dense.
    pub sparsity: f64,
    /// Tokens that share one kept set; 1 when dynamic, none when dense or static.
    pub window: Option<usize>,
    /// How a window's set is chosen; only for the policy `window`.
    pub rule: Option<Rule>,
    /// Tokens whose scores the rule `prompt` sums; only for that rule.
    pub prompt_tokens: Option<usize>,
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
            seed,
        }
    }
}

/// Why a combination means nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TreatmentError {
    /// A required field is absent.
    #[error("policy `{policy}` needs a {field}")]
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
}

impl Treatment {
    /// Checks a specification and fills what it leaves open.
    ///
    /// Filled: `window = 1` for `dynamic`, `prompt_tokens = 64` for the rule `prompt`.
    ///
    /// # Errors
    /// [`TreatmentError`] says which field is missing, superfluous or out of range.
    pub fn new(spec: TreatmentSpec) -> Result<Treatment, TreatmentError> {
        let TreatmentSpec { part, policy, score, sparsity, window, rule, prompt_tokens, seed } =
            spec;
        let needed = |field| TreatmentError::Needed { policy, field };
        let not_taken = |field| TreatmentError::NotTaken { policy, field };
        if !(0.0..1.0).contains(&sparsity) {
            return Err(TreatmentError::Sparsity(sparsity));
        }
        // JSON readers keep short decimals exactly and may miss long ones by one bit, which would
        // give the cell another id on the other side.
        if format!("{sparsity:.12}").parse() != Ok(sparsity) {
            return Err(TreatmentError::SparsityDigits(sparsity));
        }
        match policy {
            Policy::Dense if score.is_some() => return Err(not_taken("score")),
            Policy::Dense if sparsity != 0.0 => return Err(not_taken("sparsity")),
            Policy::Dense => {}
            _ if score.is_none() => return Err(needed("score")),
            _ => {}
        }
        let window = match (policy, window) {
            (Policy::Dense | Policy::Static, Some(_)) => return Err(not_taken("window")),
            (Policy::Dense | Policy::Static, None) => None,
            (Policy::Dynamic, None | Some(1)) => Some(1),
            (Policy::Dynamic, Some(other)) => return Err(TreatmentError::DynamicWindow(other)),
            (Policy::Window, None) => return Err(needed("window")),
            (Policy::Window, Some(0)) => return Err(TreatmentError::EmptyWindow),
            (Policy::Window, Some(tokens)) => Some(tokens),
        };
        match (policy, rule) {
            (Policy::Window, None) => return Err(needed("rule")),
            (Policy::Dense | Policy::Static | Policy::Dynamic, Some(_)) => {
                return Err(not_taken("rule"));
            }
            _ => {}
        }
        let prompt_tokens = match (rule, prompt_tokens) {
            (Some(Rule::Prompt), Some(0)) => return Err(TreatmentError::EmptyPrompt),
            (Some(Rule::Prompt), given) => Some(given.unwrap_or(DEFAULT_PROMPT_TOKENS)),
            (_, Some(_)) => return Err(TreatmentError::PromptWithoutRule),
            (_, None) => None,
        };
        // Adding zero turns -0.0 into 0.0, which would otherwise be a second name for the same κ.
        let sparsity = sparsity + 0.0;
        Ok(Treatment { part, policy, score, sparsity, window, rule, prompt_tokens, seed })
    }

    /// The model as it is.
    pub fn dense(seed: u64) -> Treatment {
        Treatment {
            part: Part::Ffn,
            policy: Policy::Dense,
            score: None,
            sparsity: 0.0,
            window: None,
            rule: None,
            prompt_tokens: None,
            seed,
        }
    }

    /// Whether the kept sets are chosen on calibration text before the run.
    ///
    /// True for `static` and for the rule `calibration`, unless the score looks at no text
    /// (`weight`, `random`).
    pub fn needs_calibration(&self) -> bool {
        let chosen_before = self.policy == Policy::Static || self.rule == Some(Rule::Calibration);
        chosen_before && self.score.is_some_and(Score::needs_text)
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
