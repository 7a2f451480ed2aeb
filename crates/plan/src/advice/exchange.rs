//! What travels between `cargo xtask advise`, which runs cells, and `report`, which reads their tables.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Protocol, UnknownName};

/// What is to be as small as can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Smallest {
    /// Bytes that the model takes, by the formula of docs/SPEC.md section 11.
    Bytes,
    /// Parameters that are stored.
    Parameters,
    /// Seconds to decode one token on this machine.
    DecodeSeconds,
}

impl Smallest {
    /// The names, in the order of the vocabulary.
    pub const NAMES: &'static [&'static str] = &["bytes", "parameters", "decode-seconds"];

    /// The name.
    pub fn as_str(self) -> &'static str {
        match self {
            Smallest::Bytes => "bytes",
            Smallest::Parameters => "parameters",
            Smallest::DecodeSeconds => "decode-seconds",
        }
    }
}

impl fmt::Display for Smallest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Smallest {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let all = [Smallest::Bytes, Smallest::Parameters, Smallest::DecodeSeconds];
        let found = all.into_iter().find(|own| own.as_str() == text);
        found.ok_or_else(|| UnknownName::new("size", text, Self::NAMES.iter().copied()))
    }
}

/// What has to be kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdviceKeep {
    /// How it is measured.
    pub protocol: Protocol,
    /// How far from dense a recipe may be, see [`crate::Keep::margin`].
    pub margin: f64,
    /// Windows or items of the test that is planned.
    pub test_units: u64,
}

/// The cells of a recipe: for every condition those of all stretches so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdviceCandidate {
    /// Ids, by condition and stretch.
    pub cells: Vec<Vec<String>>,
    /// Seconds to decode a token, where that was measured.
    #[serde(default)]
    pub seconds: Option<f64>,
}

/// What is asked of the candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdviceStep {
    /// Who goes on to the next stage: so many of them.
    Narrow(usize),
    /// In which order they are tested, from the safest to the smallest.
    Arrange,
    /// How many of them, in their order, are shown to be equivalent.
    Test,
}

/// A question about the tables of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdviceRequest {
    /// What is asked.
    pub step: AdviceStep,
    /// What is to be small.
    pub smallest: Smallest,
    /// All of which have to be kept.
    pub keeps: Vec<AdviceKeep>,
    /// The dense model.
    pub dense: AdviceCandidate,
    /// The recipes.
    pub candidates: Vec<AdviceCandidate>,
}

/// How large a model is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AdviceSize {
    /// Bytes that it takes, by the formula of docs/SPEC.md section 11.
    pub stored_bytes: u64,
    /// Parameters that are stored.
    pub parameters: u64,
    /// Seconds to decode a token, where that was measured.
    pub decode_seconds: Option<f64>,
}

/// How a recipe stands to dense on one condition.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AdviceNumber {
    /// Windows or items.
    pub n: u64,
    /// Perplexity or share of items of the dense model.
    pub dense: f64,
    /// The same of the recipe.
    pub own: f64,
    /// The ratio of perplexities, or the difference of shares.
    pub estimate: f64,
    /// Lower limit of the 90 % interval.
    pub lower: f64,
    /// Upper limit.
    pub upper: f64,
    /// The larger p-value of the two one-sided tests; none in the search, which shows nothing.
    pub p: Option<f64>,
    /// The chance that the planned test shows equivalence, as far as is known.
    pub assurance: f64,
    /// Windows or items that would show equivalence with a chance of 80 %, were the estimate the truth; none
    /// where no number would.
    pub needed: Option<u64>,
}

/// What is known of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdviceJudged {
    /// None where it could not be measured.
    pub size: Option<AdviceSize>,
    /// One entry a condition; none at all where one could not be measured.
    pub keeps: Vec<AdviceNumber>,
    /// The chance that all conditions are shown.
    pub assurance: f64,
    /// Why it could not be measured.
    pub failed: Option<String>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdviceAnswer {
    /// The dense model.
    pub dense: AdviceSize,
    /// One entry a candidate, in their order.
    pub judged: Vec<AdviceJudged>,
    /// The candidates that go on, by their places: the best first, or in the order of the test; of a test
    /// those that are shown.
    pub order: Vec<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_round_trip() {
        for name in Smallest::NAMES {
            let size: Smallest = name.parse().unwrap();
            assert_eq!(size.to_string(), *name);
            assert_eq!(serde_json::to_string(&size).unwrap(), format!("\"{name}\""));
        }
        let error = "byte".parse::<Smallest>().unwrap_err();
        assert_eq!(error.nearest.as_deref(), Some("bytes"));
    }
}
